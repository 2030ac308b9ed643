//! From a name to its addresses, and from a name to a connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use heist_scheduler::Handle;
use heist_scheduler::time::{Instant, timeout_at};

use super::happy_eyeballs;
use super::target::Target;
use crate::runtime::operation;

/// Looks up the addresses of `target`, in the order in which the system wants them tried.
///
/// A name is looked up by the system's resolver, on threads that wait for it: for seconds, if name
/// servers do not answer. Put a [`timeout`](heist_scheduler::time::timeout) around it. An address is
/// only read, at once.
///
/// As many look-ups run at once as [`Builder::lookup_threads`](crate::Builder::lookup_threads) says,
/// as many more wait as [`Builder::lookup_queue`](crate::Builder::lookup_queue) says, and beyond that
/// they fail. Other blocking work has threads of its own.
///
/// Cancel-safe: dropping the future gives the answer up. A look-up that waits for a thread leaves the
/// queue at once; one under way keeps its thread until it is over.
///
/// # Errors
///
/// Those of [`ConnectError::NotFound`], which is the inner error.
///
/// # Panics
///
/// Outside a runtime, if there is a name to look up.
///
/// ```
/// use heist_net::{Runtime, resolve};
///
/// let runtime = Runtime::new()?;
/// let addresses = runtime.block_on(resolve(("::1", 80)))?;
/// assert_eq!(addresses, ["[::1]:80".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn resolve(target: impl Into<Target>) -> io::Result<Vec<SocketAddr>> {
    let target = target.into();
    let addresses = find(&target).await;
    addresses.map_err(|source| ConnectError::NotFound { target, source }.into())
}

async fn find(target: &Target) -> io::Result<Vec<SocketAddr>> {
    operation::proceed().await;
    match target.look_up().await? {
        none if none.is_empty() => {
            Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"))
        }
        addresses => Ok(addresses),
    }
}

/// Why there is no connection to a [`Target`].
///
/// It is the inner error of the [`io::Error`] that [`resolve`] and
/// [`TcpStream::connect_to`](crate::TcpStream::connect_to) return. Its kind is
/// [`TimedOut`](io::ErrorKind::TimedOut) if that is why an address was not connected to, and otherwise
/// that of the last one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It makes no sense, does not exist or has no address; or it could not be looked up, since
    /// name servers do not answer or as many look-ups wait already as may. A look-up that was not begun
    /// has the kind [`ResourceBusy`](io::ErrorKind::ResourceBusy), and one that the time of the
    /// connection was too short for, [`TimedOut`](io::ErrorKind::TimedOut).
    #[error("cannot find the address of {target}: {source}")]
    NotFound {
        /// What was looked up.
        target: Target,
        /// What the system says.
        source: io::Error,
    },
    /// None of its addresses could be connected to.
    #[error("cannot connect to {target}: {}", each(.attempts))]
    NotConnected {
        /// What was to be connected to.
        target: Target,
        /// Its addresses in the order of the attempts, and what the system said. Those that had not
        /// answered or were not tried when the time was up have the kind
        /// [`TimedOut`](io::ErrorKind::TimedOut).
        attempts: Vec<(SocketAddr, io::Error)>,
    },
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        let kind = match &error {
            ConnectError::NotFound { source, .. } => source.kind(),
            ConnectError::NotConnected { attempts, .. } => {
                let mut kinds = attempts.iter().rev().map(|(_, error)| error.kind());
                let late = kinds.clone().find(|kind| *kind == io::ErrorKind::TimedOut);
                late.or(kinds.next()).unwrap_or(io::ErrorKind::NotFound)
            }
        };
        io::Error::new(kind, error)
    }
}

/// Connects to one of the addresses of `target` by `connect`, within `time`.
pub(crate) async fn connect<T, F>(
    target: Target,
    time: Duration,
    connect: impl FnMut(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    // Outside a runtime the first thing that is tried says so.
    let start = Handle::try_current().map_or(Instant::ZERO, |runtime| runtime.clock().now());
    let deadline = start + time;
    let addresses = match timeout_at(deadline, find(&target)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(source)) => return Err(ConnectError::NotFound { target, source }.into()),
        Err(_) => {
            let what = "the time was up before it was looked up";
            let source = io::Error::new(io::ErrorKind::TimedOut, what);
            return Err(ConnectError::NotFound { target, source }.into());
        }
    };
    let connected = happy_eyeballs::connect(&addresses, deadline, connect).await;
    connected.map_err(|attempts| ConnectError::NotConnected { target, attempts }.into())
}

fn each(attempts: &[(SocketAddr, io::Error)]) -> String {
    let one = |(address, error): &(SocketAddr, io::Error)| format!("{address}: {error}");
    attempts.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Tries three addresses, of which only the one with this port takes us.
    fn try_three(taking: u16) -> Result<u16, Vec<(SocketAddr, io::Error)>> {
        let addresses = ["[::1]:1", "127.0.0.1:2", "127.0.0.1:3"].map(|it| it.parse().unwrap());
        let connect = |address: SocketAddr| {
            let port = address.port();
            ready(if port == taking { Ok(port) } else { Err(refused()) })
        };
        let connected = happy_eyeballs::connect(&addresses, Instant::FAR_FUTURE, connect);
        let mut future = pin!(connected);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("nothing here waits"),
        }
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    #[test]
    fn address_that_refuses_does_not_end_the_attempt() {
        assert_eq!(try_three(1).unwrap(), 1);
        assert_eq!(try_three(2).unwrap(), 2);
        assert_eq!(try_three(3).unwrap(), 3);
    }

    #[test]
    fn error_tells_of_every_address() {
        let attempts = try_three(0).unwrap_err();
        let target = ("host", 80).into();
        let error = io::Error::from(ConnectError::NotConnected { target, attempts });
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let expected = format!(
            "cannot connect to host:80: [::1]:1: {0}; 127.0.0.1:2: {0}; 127.0.0.1:3: {0}",
            refused()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn error_of_a_late_address_is_that_of_all() {
        let mut attempts = try_three(0).unwrap_err();
        attempts[1].1 = io::ErrorKind::TimedOut.into();
        let target = ("host", 80).into();
        let error = io::Error::from(ConnectError::NotConnected { target, attempts });
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
