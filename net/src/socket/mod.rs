//! Sockets: the only place that makes or touches those of the operating system.

pub(crate) mod accept;
pub(crate) mod accepting;
pub(crate) mod bound;
pub(crate) mod buffers;
pub mod family;
pub(crate) mod happy_eyeballs;
pub(crate) mod io;
pub(crate) mod link;
pub(crate) mod listening;
pub(crate) mod meter;
pub(crate) mod peer;
pub(crate) mod resolve;
pub(crate) mod socket_file;
pub mod split;
pub(crate) mod stream;
pub(crate) mod sys;
pub(crate) mod tcp;
pub(crate) mod unix;
