//! The task of a connection that the engine serves.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::serve::Accepted;
use crate::connection::close_reason::CloseReason;
use crate::connection::io::ConnectionIo;
use crate::connection::permit::ConnectionPermit;
use crate::protocol::{Connection, Protocol};

/// The task of a connection that the engine serves: the permit and what begins it, then the
/// connection, which owns the permit.
///
/// It does what [`ServedTask`](super::served_task::ServedTask) does for other services, and takes no
/// more memory than the connection.
pub(super) enum ProtocolTask<B, P: Protocol, I: ConnectionIo, T> {
    /// What begins it runs in the task, so that a panic in it ends this connection and not the
    /// acceptor. `None` once it has been taken to run. Boxed, so that for this moment no connection
    /// is larger for as long as it lives.
    New(Option<Box<New<B, T>>>),
    Open(Connection<P, I>),
}

/// A connection before the first poll of its task.
pub(super) struct New<B, T> {
    begin: B,
    accepted: Accepted<T>,
    // Behind the socket: the permit is released only after that is closed.
    permit: ConnectionPermit,
}

impl<B, P, I, T> ProtocolTask<B, P, I, T>
where
    B: FnOnce(ConnectionPermit, Accepted<T>) -> Connection<P, I>,
    P: Protocol,
    I: ConnectionIo,
{
    pub(super) fn new(
        permit: ConnectionPermit,
        accepted: Accepted<T>,
        begin: B,
    ) -> ProtocolTask<B, P, I, T> {
        ProtocolTask::New(Some(Box::new(New { begin, accepted, permit })))
    }

    #[cold]
    fn begin(&mut self, cx: &Context<'_>) {
        if let ProtocolTask::New(new) = self {
            let new = new.take().expect("a task that panicked is not polled again");
            let New { begin, accepted, permit } = *new;
            permit.set_task(cx.waker());
            *self = ProtocolTask::Open(begin(permit, accepted));
        }
    }
}

impl<B, P, I, T> Future for ProtocolTask<B, P, I, T>
where
    B: FnOnce(ConnectionPermit, Accepted<T>) -> Connection<P, I>,
    P: Protocol,
    I: ConnectionIo,
{
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.get_mut();
        loop {
            if let ProtocolTask::Open(connection) = this {
                return connection.poll_in_own_task(cx);
            }
            this.begin(cx);
        }
    }
}

/// Neither what begins a connection nor the connection is ever pinned.
impl<B, P: Protocol, I: ConnectionIo, T> Unpin for ProtocolTask<B, P, I, T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;
    use crate::connection::socket_io::SocketIo;
    use crate::protocol::{self, Error};

    struct Discard;

    impl Protocol for Discard {
        type Message = std::convert::Infallible;

        fn received(
            &mut self,
            input: &[u8],
            _: &mut protocol::Context<'_>,
        ) -> Result<usize, Error> {
            Ok(input.len())
        }
    }

    #[test]
    fn task_of_a_connection_takes_no_more_than_the_connection() {
        type Begin = fn(ConnectionPermit, Accepted) -> Connection<Discard>;
        // In debug builds mio adds to each socket.
        let debug = size_of::<crate::socket::sys::Stream>() - 8;
        let size = size_of::<ProtocolTask<Begin, Discard, SocketIo, Stream>>();
        assert!(size <= 112 + debug, "{size}");
    }
}
