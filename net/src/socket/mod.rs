//! Sockets; nothing else in the crate makes or touches those of the operating system.

pub(crate) mod accept_error;
pub(crate) mod address;
pub(crate) mod bound_listener;
pub(crate) mod connect;
pub mod family;
mod futures_io;
pub(crate) mod inner;
pub(crate) mod listener;
pub(crate) mod meter;
pub(crate) mod peer;
mod pending;
mod ready;
pub(crate) mod registered_listener;
pub(crate) mod reunite;
mod socket_file;
pub mod split;
pub(crate) mod stream;
pub(crate) mod sys;
pub(crate) mod tcp;
pub(crate) mod tcp_socket;
#[cfg(feature = "tokio-io")]
mod tokio_io;
pub(crate) mod udp;
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
#[allow(unsafe_code)]
pub(crate) mod uninit;
pub(crate) mod unix;
mod vectored;
