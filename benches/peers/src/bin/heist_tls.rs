//! hyper behind heist's server with TLS: HTTP/2 or HTTP/1.1, as ALPN says.

use heist::http;
use heist::server::{Listener, Server};
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
    let server = Server::builder()
        .listen(Listener::tcp(address)?)
        .limits(heist_peers::server::limits())
        .tls(config)
        .http(service);
    let server = server.start_on(runtime.handle())?;
    heist_peers::server::report(|| server.metrics())
}
