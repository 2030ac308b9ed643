//! Readiness without a buffer: waiting for it, and operations that do not wait.
//!
//! Any number of tasks may wait here, in each direction: an event wakes one, which wakes the next.

use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::task::ready;

use heist_reactor::{Direction, uninterrupted};
use heist_scheduler::coop;

use crate::runtime::operation::{self, restore_if_pending};
use crate::socket::inner::SocketInner;
use crate::socket::split::{SocketReader, SocketWriter};
use crate::socket::stream::Socket;
use crate::socket::sys;

impl<F> Socket<F> {
    /// Waits until bytes are there to read, the peer has finished sending, or the connection has
    /// failed. [`try_read`](Self::try_read) reads then, if no other task was faster.
    ///
    /// So a task that waits for a peer needs no buffer. Any number of tasks may wait. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`heist_reactor::Closed`] after the runtime of the socket has shut down, and the system's if it
    /// refuses to report events. The error of a connection is left to the read.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::UnixStream;
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let (mut near, far) = UnixStream::pair()?;
    ///     let mut buffer = [0; 16];
    ///     let nothing = far.try_read(&mut buffer).unwrap_err();
    ///     assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    ///     near.write_all(b"hello").await?;
    ///     far.readable().await?;
    ///     assert_eq!(far.try_read(&mut buffer)?, 5);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.inner().readable().await
    }

    /// Waits until the system is likely to accept bytes, or the connection has failed.
    /// [`try_write`](Self::try_write) may still find no room. A socket that is connecting is writable
    /// once that has an outcome, which [`take_error`](Self::take_error) tells.
    ///
    /// Any number of tasks may wait. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub async fn writable(&self) -> io::Result<()> {
        self.inner().writable().await
    }

    /// Reads available bytes and does not wait. 0 means that the peer has finished sending, or that
    /// `buffer` is empty.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there are none, and the system's.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner().try_read(buffer)
    }

    /// Writes as many of `bytes` as the system accepts at once, and does not wait.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it accepts none, and the system's.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().try_write(bytes)
    }

    /// Does `operation`, a system call on the socket by other means, and notes when it would block,
    /// so that the next wait in `direction` waits for the system.
    ///
    /// # Errors
    ///
    /// The operation's. `WouldBlock` must mean that the direction is drained.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.inner().try_io(direction, operation)
    }

    /// Waits until bytes are there and copies them to `buffer`; they stay in the socket.
    ///
    /// Any number of tasks may wait. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner().peek(buffer).await
    }

    /// The error that the system holds for the socket (`SO_ERROR`), which this clears.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }
}

impl<S: Deref<Target = SocketInner>, F> SocketReader<S, F> {
    /// As [`TcpStream::readable`](crate::TcpStream::readable). Cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn readable(&self) -> io::Result<()> {
        self.inner().readable().await
    }

    /// As [`TcpStream::try_read`](crate::TcpStream::try_read).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner().try_read(buffer)
    }

    /// As [`TcpStream::peek`](crate::TcpStream::peek). Cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner().peek(buffer).await
    }
}

impl<S: Deref<Target = SocketInner>, F> SocketWriter<S, F> {
    /// As [`TcpStream::writable`](crate::TcpStream::writable). Cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn writable(&self) -> io::Result<()> {
        self.inner().writable().await
    }

    /// As [`TcpStream::try_write`](crate::TcpStream::try_write).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().try_write(bytes)
    }
}

impl SocketInner {
    /// A new socket is marked readable before the kernel was asked, so this looks. A look that peeked
    /// would take the error of the socket.
    async fn readable(&self) -> io::Result<()> {
        self.wait(Direction::Read, sys::readable).await
    }

    /// A new socket is marked writable as well, even if it is still connecting.
    async fn writable(&self) -> io::Result<()> {
        self.wait(Direction::Write, sys::writable).await
    }

    async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match buffer.is_empty() {
            true => Ok(0),
            false => self.wait(Direction::Read, |socket| socket.peek(buffer)).await,
        }
    }

    /// Waits until `look`, which takes nothing out of the socket, finds something.
    async fn wait<R>(
        &self,
        direction: Direction,
        mut look: impl FnMut(&sys::Stream) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiter = self.source().waiter(direction);
        poll_fn(|cx| {
            ready!(coop::poll_proceed(cx));
            let found = operation::until_shutdown(waiter.poll_io(cx, &mut look));
            self.noted(direction, restore_if_pending(found))
        })
        .await
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count =
            self.try_io(Direction::Read, || uninterrupted(|| self.socket().read(buffer)))?;
        self.count_read(count);
        Ok(count)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let count =
            self.try_io(Direction::Write, || uninterrupted(|| self.socket().write(bytes)))?;
        self.count_written(count);
        Ok(count)
    }

    /// The operation is done even if the direction is not ready: the kernel may not have been asked
    /// for its events yet. What it takes is at worst reported once more.
    fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let drain = self.source().try_drain(direction);
        operation::noted(drain, operation())
    }
}
