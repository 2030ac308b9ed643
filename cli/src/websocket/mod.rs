//! `/ws`: sends each WebSocket message back.
//!
//! The server has the connection as before the upgrade: it bounds how long it may be quiet, how slow
//! it may be, and how many there are. What a message may take is bounded here.

mod blocking;
mod echo;

use heist::http::{Body, DrainSignal, UpgradedConnection};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use tungstenite::handshake::server::create_response_with_body;

use crate::respond::text;
use echo::Echo;

/// Answers a request for `/ws`. If it asks for a WebSocket, messages of at most `max_message` bytes
/// are echoed behind the answer, in a task of their own.
pub(crate) fn accept(mut request: Request<Body>, max_message: usize) -> Response<Full<Bytes>> {
    let extensions = request.extensions();
    let connection = extensions.get::<UpgradedConnection>().cloned();
    let drain = extensions.get::<DrainSignal>().cloned();
    let (Some(connection), Some(drain)) = (connection, drain) else {
        return without_an_upgrade(request.version());
    };
    let response = match create_response_with_body(&request, Full::default) {
        Ok(response) => response,
        Err(error) => {
            let mut response = text(StatusCode::BAD_REQUEST, format!("{error}\n"));
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, VERSION);
            return response;
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let task = heist::task::Builder::new().name("websocket").spawn(async move {
        // It fails if the connection ends before the answer is sent.
        if let Ok(upgraded) = upgrade.await {
            Echo::new(upgraded, connection, drain, max_message).await;
        }
    });
    drop(task);
    response
}

/// The answer to a request that asks for no upgrade.
fn without_an_upgrade(version: Version) -> Response<Full<Bytes>> {
    if version == Version::HTTP_2 {
        return text(StatusCode::BAD_REQUEST, "a WebSocket begins in HTTP/1.1 here\n");
    }
    let mut response = text(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
    response
}

/// The one version there is, of RFC 6455.
const VERSION: HeaderValue = HeaderValue::from_static("13");
