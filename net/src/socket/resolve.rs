//! From names to addresses, and from a name to a connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use heist_scheduler::time::{Instant, timeout_at};
use heist_scheduler::{AbortHandle, Handle, TaskBuilder};

use crate::runtime::driver;
use crate::socket::happy_eyeballs;

/// A place to connect to, as people write it: a host and a port.
///
/// Made of `"example.org:80"`, `("example.org", 80)`, or a [`SocketAddr`], by `into()`. An IPv6
/// address stands in brackets in the first form, and with or without them in the second. It may have a
/// zone, as `fe80::1%eth0` has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    Text(String),
    Pair(String, u16),
    Address(SocketAddr),
}

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
    driver::proceed().await;
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

impl Target {
    /// The address, if it says one and not a name.
    fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Form::Text(text) => text.parse().ok(),
            Form::Pair(host, port) => match host.parse::<IpAddr>() {
                Ok(ip) => Some(SocketAddr::new(ip, *port)),
                // With a zone that is a number. The resolver knows the names of zones.
                Err(_) if host.contains(':') => format!("[{host}]:{port}").parse().ok(),
                Err(_) => None,
            },
            Form::Address(address) => Some(*address),
        }
    }

    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = self.address() {
            return Ok(vec![address]);
        }
        let form = self.0.clone();
        let work = move || match form {
            Form::Text(text) => text.to_socket_addrs().map(Vec::from_iter),
            Form::Pair(host, port) => (host, port).to_socket_addrs().map(Vec::from_iter),
            Form::Address(address) => Ok(vec![address]),
        };
        let lookup = TaskBuilder::new().name("resolve").spawn_lookup(work);
        let _given_up = lookup.abort_handle().map(AbortOnDrop);
        lookup.await.map_err(|error| match error.is_refused() {
            true => io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("the look-up was not begun: {error}"),
            ),
            false => io::Error::other(error.to_string()),
        })?
    }
}

/// Takes a look-up out of the queue when the future that awaits it is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(text),
            Form::Pair(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Form::Pair(host, port) => write!(f, "{host}:{port}"),
            Form::Address(address) => address.fmt(f),
        }
    }
}

impl From<&str> for Target {
    fn from(text: &str) -> Target {
        text.to_owned().into()
    }
}

impl From<String> for Target {
    fn from(text: String) -> Target {
        // The resolver takes an address with a zone only without its brackets.
        let (host, port) = text.rsplit_once(':').unwrap_or_default();
        match (unbracketed(host), port.parse()) {
            (Some(address), Ok(port)) => Target(Form::Pair(address.to_owned(), port)),
            _ => Target(Form::Text(text)),
        }
    }
}

impl From<&String> for Target {
    fn from(text: &String) -> Target {
        text.as_str().into()
    }
}

impl From<(&str, u16)> for Target {
    fn from((host, port): (&str, u16)) -> Target {
        (host.to_owned(), port).into()
    }
}

impl From<(String, u16)> for Target {
    fn from((host, port): (String, u16)) -> Target {
        let host = match unbracketed(&host) {
            Some(address) => address.to_owned(),
            None => host,
        };
        Target(Form::Pair(host, port))
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target(Form::Address(address))
    }
}

/// The IPv6 address that `host` has in brackets.
fn unbracketed(host: &str) -> Option<&str> {
    let inside = host.strip_prefix('[')?.strip_suffix(']')?;
    inside.contains(':').then_some(inside)
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

    #[test]
    fn addresses_need_no_resolver() {
        for (target, address) in [
            (Target::from("127.0.0.1:80"), "127.0.0.1:80"),
            (Target::from("[::1]:80"), "[::1]:80"),
            (Target::from(("::1", 80)), "[::1]:80"),
            (Target::from(("[::1]", 80)), "[::1]:80"),
            (Target::from("[fe80::1%7]:80"), "[fe80::1%7]:80"),
            (Target::from(("fe80::1%7", 80)), "[fe80::1%7]:80"),
            (Target::from(("[fe80::1%7]", 80)), "[fe80::1%7]:80"),
        ] {
            assert_eq!(target.address(), address.parse().ok());
            assert_eq!(target.to_string(), address);
        }
        for name in ["localhost:80", "localhost", "", "[localhost]:80", "[::1]", "[fe80::1%lo]:80"]
        {
            assert_eq!(Target::from(name).address(), None);
        }
    }

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
