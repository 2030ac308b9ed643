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

impl From<StartError> for io::Error {
    /// With the kind of what the system said; `InvalidInput` for a server without a listener, `ResourceBusy`
    /// where the runtime took no task, `Other` outside of a runtime. The error itself is kept as the source.
    fn from(error: StartError) -> io::Error {
        let kind = match &error {
            StartError::OutsideRuntime => io::ErrorKind::Other,
            StartError::NoListener => io::ErrorKind::InvalidInput,
            StartError::Refused { .. } => io::ErrorKind::ResourceBusy,
            StartError::Listen { source, .. } => source.kind(),
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_has_the_kind_of_what_the_system_said_and_keeps_the_error() {
        let error = io::Error::from(StartError::NoListener);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let source = io::ErrorKind::AddrInUse.into();
        let address = Address::Tcp(([127, 0, 0, 1], 80).into());
        let error = io::Error::from(StartError::Listen { address, source });
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with("cannot accept on 127.0.0.1:80: "), "{error}");
        assert!(error.get_ref().unwrap().is::<StartError>());
    }
}
