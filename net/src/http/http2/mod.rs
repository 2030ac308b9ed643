//! HTTP/2 on a connection.
//!
//! # The way of a stream
//!
//! 1. The transport (`monitored_io`) gives hyper what came, behind the monitor of frames (`monitor`), which
//!    ends the connection of a peer that sends too much of a kind.
//! 2. hyper calls the service (`service`) with each request, and gives the stream to an executor
//!    (`stream_set`). That polls it in the task of the connection: no stream outlives its connection, and
//!    the permit is held until all of them have ended. A panic ends one stream.
//! 3. The bytes of bodies and answers that hyper holds are accounted for (`body`, `accounting`): they are
//!    charged to the server's budget where they wait.
//! 4. The connection (`connection`) enforces the deadlines: for the preface, for a header block that comes
//!    in parts, without streams, and for answers that the peer does not take (`stalls`).
//! 5. Where hyper has finished, or a limit says so, the rest is the close (`closing`).

mod accounting;
mod body;
mod clock;
mod closing;
mod connection;
mod ending;
mod monitor;
mod monitored_io;
mod served;
mod service;
mod stalls;
mod stream_set;

mod wakers;

pub(super) use connection::{Http2Future, Parts};
pub(super) use monitor::{FrameCounts, PREFACE, Violation};
pub(super) use service::StreamService;
