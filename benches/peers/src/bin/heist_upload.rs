//! Uploads and a hello: hyper behind heist's server.

use heist::server::{Listener, Server};
use hyper::service::service_fn;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let runtime = heist::Builder::new().workers(workers).start()?;
    let server = Server::builder()
        .listen(Listener::tcp(address)?)
        .limits(heist_peers::server::limits())
        .http(service_fn(heist_peers::web::upload));
    let server = server.start_on(runtime.handle())?;
    heist_peers::server::report(|| server.metrics())
}
