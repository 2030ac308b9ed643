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

/// Looks up the addresses of `target`, in the order of the system's resolver.
///
/// The system's resolver looks a name up, on threads that block: for seconds, if name servers do
/// not answer. Put a [`timeout`](heist_scheduler::time::timeout) around it. An address is parsed at
/// once.
///
/// [`Builder::lookup_threads`](crate::Builder::lookup_threads) sets how many look-ups run at once,
/// [`Builder::lookup_queue`](crate::Builder::lookup_queue) how many more may wait; further ones
/// fail. Other blocking work has threads of its own.
///
/// Cancel-safe: dropping the future abandons the look-up. One that waits for a thread leaves the
/// queue at once; a running one occupies its thread until it ends.
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
/// use heist::Runtime;
/// use heist::net::resolve;
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

/// The error of a connection to a [`Target`].
///
/// It is the inner error of the [`io::Error`] that [`resolve`] and
/// [`TcpStream::connect`](crate::TcpStream::connect) return, but not of a connection to a lone
/// [`SocketAddr`], which is the system's. The kind of that error is
/// [`TimedOut`](io::ErrorKind::TimedOut) if an attempt timed out, and otherwise that of the last
/// attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The target is malformed, does not exist or has no address; or the look-up failed, because
    /// name servers do not answer or the queue of look-ups is full. The kind of a look-up that was
    /// not started is [`ResourceBusy`](io::ErrorKind::ResourceBusy), that of one that outlasted the
    /// time limit [`TimedOut`](io::ErrorKind::TimedOut).
    #[error("cannot find the address of {target}: {source}")]
    NotFound {
        /// The target of the look-up.
        target: Target,
        /// The system's error.
        source: io::Error,
    },
    /// The attempts to connect to all of its addresses failed.
    #[error("cannot connect to {target}: {}", each(.attempts))]
    NotConnected {
        /// The target of the attempts.
        target: Target,
        /// Its addresses in the order of the attempts, and the error of each. The kind is
        /// [`TimedOut`](io::ErrorKind::TimedOut) for an address that had not answered or was not
        /// tried when the time was up.
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

/// Connects to one of the addresses of `target` with `connect`, within `time`.
pub(crate) async fn connect<T, F>(
    target: Target,
    time: Duration,
    mut connect: impl FnMut(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    // Outside a runtime the first operation fails with `NoDriver`.
    let start = Handle::try_current().map_or(Instant::ZERO, |runtime| runtime.clock().now());
    let deadline = start + time;
    let Some(address) = target.address() else {
        // The usual case, a lone address, does not carry the state of the others.
        return Box::pin(connect_to_each(target, deadline, connect)).await;
    };
    let late = |what| Err(io::Error::new(io::ErrorKind::TimedOut, what));
    let outcome = match time.is_zero() {
        true => late("the time was up before it was tried"),
        false => match timeout_at(deadline, connect(address)).await {
            Ok(outcome) => outcome,
            Err(_) => late("the time was up before it answered"),
        },
    };
    outcome.map_err(|error| match target.is_socket_addr() {
        // The caller knows the address, and may ask for the system's code.
        true => error,
        false => ConnectError::NotConnected { target, attempts: vec![(address, error)] }.into(),
    })
}

async fn connect_to_each<T, F>(
    target: Target,
    deadline: Instant,
    connect: impl FnMut(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
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

    /// Tries three addresses, of which only the one with the port `taking` accepts.
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
            Poll::Pending => panic!("no attempt waits"),
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
    fn error_lists_every_address() {
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
