//! TLS over real sockets, with rustls' blocking client as the peer.

#[path = "../common/mod.rs"]
mod common;

mod alpn;
mod authority;
mod client;
mod client_certificates;
mod closing;
mod handshakes;
mod names;
mod proxy;
mod reloading;
mod resumption;
mod services;
mod stage;
mod transfers;
mod waiting;
