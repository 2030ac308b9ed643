//! hyper behind heist's server: HTTP/2 with prior knowledge.

use heist::http::{self, Http};
use heist::server::{Listener, Server};
use hyper::Request;
use hyper::service::service_fn;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let runtime = heist::Builder::new().workers(workers).start()?;
    let service = service_fn(|request: Request<http::Body>| {
        heist_peers::web::hello(request.map(http::Body::into_incoming))
    });
    let server = Server::builder()
        .listen(Listener::tcp(address)?)
        .limits(heist_peers::server::limits())
        .serve(Http::new(service).prior_knowledge(true));
    let server = server.start_on(runtime.handle())?;
    heist_peers::server::report(|| server.metrics())
}
