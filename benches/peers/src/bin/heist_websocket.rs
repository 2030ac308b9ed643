//! A hello over HTTP/1.1, and at `/ws` an echo over WebSocket: heist's server and heist-websocket.

use std::convert::Infallible;

use bytes::Bytes;
use heist::http;
use heist::server::{Listener, Server};
use heist_websocket::{Handshake, Limits, Upgrade};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn answer(mut request: Request<http::Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(handshake) = Handshake::of(&mut request) else {
        return heist_peers::web::hello(request.map(http::Body::into_incoming)).await;
    };
    let (response, upgrade) = handshake.accept(Limits::default());
    drop(heist::spawn(echo(upgrade)));
    Ok(response.map(|()| Full::default()))
}

async fn echo(upgrade: Upgrade) -> Result<(), heist_websocket::Error> {
    let mut socket = upgrade.await?;
    while let Some(message) = socket.read().await? {
        socket.send(message).await?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let runtime = heist::Builder::new().workers(workers).start()?;
    let server = Server::builder()
        .listen(Listener::tcp(address)?)
        .limits(heist_peers::server::limits())
        .http(service_fn(answer));
    let server = server.start_on(runtime.handle())?;
    heist_peers::server::report(|| server.metrics())
}
