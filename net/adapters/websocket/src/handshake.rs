//! The opening handshake of a request: RFC 6455 4.2.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_net::http::{DrainSignal, UpgradedConnection};
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use tungstenite::handshake::derive_accept_key;

use crate::error::Error;
use crate::limits::Limits;
use crate::socket::WebSocket;

/// The opening handshake of one request, which may be accepted.
#[derive(Debug)]
pub struct Handshake {
    accept: HeaderValue,
    /// As the peer offers them.
    protocols: Vec<HeaderValue>,
    protocol: Option<HeaderValue>,
    upgrade: OnUpgrade,
    connection: UpgradedConnection,
    drain: Option<DrainSignal>,
}

/// Why a request does not open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It does not ask for one.
    #[error("the request does not ask for a WebSocket")]
    NotAsked,
    /// Its method is not GET.
    #[error("a WebSocket is opened by GET")]
    Method,
    /// It asks for another version of the protocol than 13.
    #[error("the version of WebSocket here is 13")]
    Version,
    /// Its key is missing or is not of 16 bytes in base64.
    #[error("the key of the WebSocket is malformed")]
    Key,
}

impl Handshake {
    /// The handshake of `request`. It takes over the right to the request's upgrade.
    ///
    /// # Errors
    ///
    /// [`Refused`], which has an answer to the request.
    pub fn of<B>(request: &mut Request<B>) -> Result<Handshake, Refused> {
        let headers = request.headers();
        let connection = request.extensions().get::<UpgradedConnection>().cloned();
        let Some(connection) = connection.filter(|_| names(headers, UPGRADE, "websocket")) else {
            return Err(Refused::NotAsked);
        };
        if request.method() != Method::GET {
            return Err(Refused::Method);
        }
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(Refused::Version);
        }
        let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
        let (Some(key), None) = (keys.next(), keys.next()) else { return Err(Refused::Key) };
        if !is_key(key.as_bytes()) {
            return Err(Refused::Key);
        }
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        Ok(Handshake {
            accept: accept.map_err(|_| Refused::Key)?,
            protocols: headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().cloned().collect(),
            protocol: None,
            drain: request.extensions().get::<DrainSignal>().cloned(),
            upgrade: hyper::upgrade::on(request),
            connection,
        })
    }

    /// The subprotocols that the peer offers, the one it likes best first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        let texts = self.protocols.iter().filter_map(|value| value.to_str().ok());
        texts.flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }

    /// Chooses a subprotocol; returns whether the peer offers it. Without a call none is chosen.
    pub fn choose_protocol(&mut self, name: &str) -> bool {
        let offered = self.protocols().any(|protocol| protocol == name);
        if offered {
            self.protocol = HeaderValue::from_str(name).ok();
        }
        offered
    }

    /// The connection, of which another idle limit may be set.
    pub fn connection(&self) -> &UpgradedConnection {
        &self.connection
    }

    /// The answer to the request, to be returned by its service, and the WebSocket, once that is out.
    #[must_use = "the answer opens the WebSocket"]
    pub fn accept(self, limits: Limits) -> (Response<()>, Upgrade) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let Handshake { upgrade, connection, drain, .. } = self;
        (response, Upgrade { upgrade, connection, drain, limits })
    }
}

impl Refused {
    /// An answer to the request.
    pub fn response(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = match self {
            Refused::NotAsked | Refused::Version => StatusCode::UPGRADE_REQUIRED,
            Refused::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refused::Key => StatusCode::BAD_REQUEST,
        };
        let headers = response.headers_mut();
        match self {
            Refused::NotAsked | Refused::Version => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            Refused::Method => {
                headers.insert(hyper::header::ALLOW, HeaderValue::from_static("GET"));
            }
            Refused::Key => {}
        }
        response
    }
}

/// Becomes the [`WebSocket`] once the answer to its request is out.
///
/// Dropping it, or the WebSocket, ends the connection.
#[derive(Debug)]
#[must_use = "dropping it ends the connection"]
pub struct Upgrade {
    upgrade: OnUpgrade,
    connection: UpgradedConnection,
    drain: Option<DrainSignal>,
    limits: Limits,
}

impl Future for Upgrade {
    type Output = Result<WebSocket<Upgraded>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let upgraded = ready!(Pin::new(&mut self.upgrade).poll(cx)).map_err(Error::NotUpgraded)?;
        let drain = self.drain.take();
        let connection = self.connection.clone();
        Poll::Ready(Ok(WebSocket::upgraded(upgraded, connection, drain, self.limits)))
    }
}

/// Whether one of the fields `name` has the list element `wanted`.
fn names(headers: &hyper::HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|element| element.trim().eq_ignore_ascii_case(wanted)))
}

/// Whether `key` is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_16_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for key in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZ===",
            b"dGhlIHNhbXBs SBub25jZQ==",
        ] {
            assert!(!is_key(key), "{key:?}");
        }
    }
}
