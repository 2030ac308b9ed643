//! `/ws`: sends each WebSocket message back.

use heist::http::Body;
use heist_websocket::{Error, Handshake, Limits, Upgrade};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};

/// Answers a request for `/ws`. If it asks for a WebSocket, messages of at most `max_message` bytes
/// are echoed behind the answer, in a task of their own.
pub(crate) fn accept(mut request: Request<Body>, max_message: usize) -> Response<Full<Bytes>> {
    let handshake = match Handshake::of(&mut request) {
        Ok(handshake) => handshake,
        Err(refused) => return refused.response().map(|()| format!("{refused}\n").into()),
    };
    let limits = Limits { message: max_message, frame: max_message, ..Limits::default() };
    let (response, upgrade) = handshake.accept(limits);
    drop(heist::task::Builder::new().name("websocket").spawn(echo(upgrade)));
    response.map(|()| Full::default())
}

/// Sends each message back until either side closes. The server counts how the connection ends.
async fn echo(upgrade: Upgrade) -> Result<(), Error> {
    let mut socket = upgrade.await?;
    while let Some(message) = socket.read().await? {
        socket.send(message).await?;
    }
    Ok(())
}
