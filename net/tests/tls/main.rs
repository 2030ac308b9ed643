//! TLS over real sockets, with rustls' blocking client as the peer.

#[path = "../common/mod.rs"]
mod common;

mod alpn;
mod authority;
mod client;
mod client_certificates;
mod closing;
mod connecting;
mod copying;
#[cfg(feature = "hyper")]
#[path = "../http2_server/client.rs"]
#[allow(dead_code, reason = "the tests of HTTP/2 need more of it")]
mod frames;
mod handshakes;
#[cfg(feature = "hyper")]
mod http2;
mod names;
mod proxy;
mod reloading;
mod resumption;
mod services;
mod stage;
#[cfg(feature = "tokio-io")]
mod tokio_io;
mod transfers;
mod waiting;
