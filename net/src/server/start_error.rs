//! Why a server did not start.

use std::io;

use crate::socket::address::Address;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The calling thread is in no runtime.
    #[error("a server needs a runtime: start it in a task, in `block_on`, or by `start_on`")]
    OutsideRuntime,
    /// There is nothing to accept from.
    #[error("a server needs a listener: give it one by `listen`")]
    NoListener,
    /// The runtime took no task to accept with.
    #[error(
        "no task to accept on {address}: the runtime shuts down, or has as many tasks as `max_tasks`"
    )]
    Refused {
        /// Where it was to listen.
        address: Address,
    },
    /// A socket could not be put under the runtime.
    #[error("cannot accept on {address}: {source}")]
    Listen {
        /// Where it listens.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
}
