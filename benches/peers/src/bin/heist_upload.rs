//! Uploads and a hello: hyper behind heist's server. With `HEIST_PEERS_TENANTS` in the environment the
//! connections of one address have one account.

use heist::server::{Accounts, Listener, Server};
use hyper::service::service_fn;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let runtime = heist::Builder::new().workers(workers).start()?;
    let accounts = match std::env::var_os("HEIST_PEERS_TENANTS") {
        Some(_) => Accounts::per_peer_address(),
        None => Accounts::per_connection(),
    };
    let server = Server::builder()
        .listen(Listener::tcp(address)?)
        .accounts(accounts)
        .limits(heist_peers::server::limits())
        .http(service_fn(heist_peers::web::upload));
    let server = server.start_on(runtime.handle())?;
    heist_peers::server::report(|| server.metrics())
}
