//! What is recorded of connections and requests: around the HTTP server, and around its service.
//!
//! ```text
//! Watched   one connection: counts it and learns how it ends
//!   Http      hyper, and what the server refuses by itself
//!     Recorded  one request: from the call of the service to the end of the answer's body
//!       routes
//! ```
//!
//! A request is recorded when its answer has ended in order. One of HTTP/1 that breaks off is kept in
//! its `Connection` until the connection has ended, which is at once, and which says why. One of
//! HTTP/2 is recorded when it breaks off, since the connection may go on.

mod connection;
mod request;

use std::sync::Arc;

use crate::access::Lines;
use crate::failures::Failures;

pub(crate) use connection::{Watched, refused};
pub(crate) use request::Recorded;

/// Where records go.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// `None` without an access log.
    pub(crate) lines: Option<Lines>,
    pub(crate) failures: Arc<Failures>,
}

/// The whole answer has gone to the connection.
const COMPLETE: &str = "complete";

/// Part of the answer has not, for an unknown reason.
const BROKEN: &str = "broken";

/// The server has answered in place of the service.
const REFUSED: &str = "refused";
