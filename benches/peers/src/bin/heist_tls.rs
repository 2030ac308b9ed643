//! hyper behind heist's server with TLS: HTTP/2 or HTTP/1.1, as ALPN says.

use std::time::Duration;

use heist::http;
use heist::server::{Limits, Listener, Server};
use heist::tls::{Certificate, Config};
use hyper::Request;
use hyper::service::service_fn;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let [certificate, key] = heist_peers::tls::files();
    let config = Config::builder()
        .certificate(Certificate::files(certificate, key))
        .alpn(["h2", "http/1.1"])
        .build()?;
    let runtime = heist::Builder::new().workers(workers).start()?;
    let service = service_fn(|request: Request<http::Body>| {
        heist_peers::web::hello(request.map(http::Body::into_incoming))
    });
    let limits = Limits { shed: false, ..Limits::default() };
    let server =
        Server::builder().listen(Listener::tcp(address)?).limits(limits).tls(config).http(service);
    let _server = server.start_on(runtime.handle())?;
    runtime.block_on(async {
        loop {
            heist::time::sleep(Duration::from_secs(3600)).await;
        }
    })
}
