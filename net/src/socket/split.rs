//! The two directions of a stream, as two values.
//!
//! The event queue stores the wakers of each direction separately, so the halves need neither a
//! lock nor a second descriptor.

use std::fmt;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::socket::family::{Family, Tcp};
use crate::socket::inner::SocketInner;

/// The reading direction of a borrowed stream; made by `split_mut`.
pub type ReadHalf<'a, F = Tcp> = SocketReader<&'a SocketInner, F>;

/// The writing direction of a borrowed stream; made by `split_mut`. Dropping it does not shut it down.
pub type WriteHalf<'a, F = Tcp> = SocketWriter<&'a SocketInner, F>;

/// The reading direction of a stream that two tasks share; made by `into_split`.
///
/// ```
/// use heist::Runtime;
/// use heist::net::UnixStream;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let (near, mut far) = UnixStream::pair()?;
///     let (mut reading, mut writing) = near.into_split();
///     let reader = heist::spawn(async move {
///         let mut answer = [0; 4];
///         reading.read_exact(&mut answer).await.map(|_| answer)
///     });
///     writing.write_all(b"ping").await?;
///     let mut question = [0; 4];
///     far.read_exact(&mut question).await?;
///     far.write_all(b"pong").await?;
///     assert_eq!(&reader.await.unwrap()?, b"pong");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type OwnedReadHalf<F = Tcp> = SocketReader<Arc<SocketInner>, F>;

/// The writing direction of a stream that two tasks share; made by `into_split`.
///
/// Dropping it shuts the direction down: the peer reads the end of the stream, even while the other
/// half is in use. [`forget`](OwnedWriteHalf::forget) does not.
pub type OwnedWriteHalf<F = Tcp> = SocketWriter<ShutdownOnDrop, F>;

pub(crate) fn borrowed<F>(inner: &SocketInner) -> (ReadHalf<'_, F>, WriteHalf<'_, F>) {
    (SocketReader::new(inner), SocketWriter::new(inner))
}

pub(crate) fn owned<F>(inner: SocketInner) -> (OwnedReadHalf<F>, OwnedWriteHalf<F>) {
    let inner = Arc::new(inner);
    let writer = ShutdownOnDrop { inner: Arc::clone(&inner), forgotten: false };
    (SocketReader::new(inner), SocketWriter::new(writer))
}

/// The reading direction of a stream: a [`ReadHalf`] or an [`OwnedReadHalf`].
pub struct SocketReader<S, F = Tcp> {
    inner: S,
    family: PhantomData<F>,
}

impl<S, F> SocketReader<S, F> {
    fn new(inner: S) -> SocketReader<S, F> {
        SocketReader { inner, family: PhantomData }
    }
}

impl<S: Deref<Target = SocketInner>, F> SocketReader<S, F> {
    pub(crate) fn inner(&self) -> &SocketInner {
        &self.inner
    }

    /// As [`TcpStream::read`](crate::TcpStream::read). Cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).await
    }

    /// As [`TcpStream::read_exact`](crate::TcpStream::read_exact). Not cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_exact(buffer).await
    }

    /// As [`TcpStream::read_to_end_limited`](crate::TcpStream::read_to_end_limited). Not cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn read_to_end_limited(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        self.inner.read_to_end_limited(limit).await
    }

    /// As [`TcpStream::poll_read`](crate::TcpStream::poll_read).
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, buffer)
    }
}

/// The writing direction of a stream: a [`WriteHalf`] or an [`OwnedWriteHalf`].
pub struct SocketWriter<S, F = Tcp> {
    inner: S,
    family: PhantomData<F>,
}

impl<S, F> SocketWriter<S, F> {
    fn new(inner: S) -> SocketWriter<S, F> {
        SocketWriter { inner, family: PhantomData }
    }
}

impl<S: Deref<Target = SocketInner>, F> SocketWriter<S, F> {
    pub(crate) fn inner(&self) -> &SocketInner {
        &self.inner
    }

    /// As [`TcpStream::write`](crate::TcpStream::write). Cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).await
    }

    /// As [`TcpStream::write_all`](crate::TcpStream::write_all). Not cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes).await
    }

    /// As [`TcpStream::write_vectored`](crate::TcpStream::write_vectored). Cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(buffers).await
    }

    /// As [`TcpStream::poll_write`](crate::TcpStream::poll_write).
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, bytes)
    }

    /// As [`TcpStream::poll_write_vectored`](crate::TcpStream::poll_write_vectored).
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write_vectored(cx, buffers)
    }

    /// As [`TcpStream::flush`](crate::TcpStream::flush): there is nothing to do.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// As [`TcpStream::shutdown`](crate::TcpStream::shutdown): the peer reads the end of the stream
    /// after the bytes that were written. Cancel-safe: it does not wait.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.inner.shutdown(Shutdown::Write)
    }
}

/// The stream of two halves, or the halves again if they are not of one stream.
pub(super) fn joined<F>(
    reader: OwnedReadHalf<F>,
    writer: OwnedWriteHalf<F>,
) -> Result<SocketInner, (OwnedReadHalf<F>, OwnedWriteHalf<F>)> {
    if !Arc::ptr_eq(&reader.inner, &writer.inner.inner) {
        return Err((reader, writer));
    }
    writer.forget();
    Ok(Arc::into_inner(reader.inner).expect("a stream has two halves, and no more"))
}

impl<F> OwnedWriteHalf<F> {
    /// Drops the half and leaves its direction open, until the other half is dropped as well.
    pub fn forget(mut self) {
        self.inner.forgotten = true;
    }
}

impl<S: Deref<Target = SocketInner>, F: Family> SocketReader<S, F> {
    /// As [`TcpStream::peer_addr`](crate::TcpStream::peer_addr).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn peer_addr(&self) -> io::Result<F::Address> {
        F::peer(self.inner.socket())
    }

    /// As [`TcpStream::local_addr`](crate::TcpStream::local_addr).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn local_addr(&self) -> io::Result<F::Address> {
        F::local(self.inner.socket())
    }
}

impl<S: Deref<Target = SocketInner>, F: Family> SocketWriter<S, F> {
    /// As [`TcpStream::peer_addr`](crate::TcpStream::peer_addr).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn peer_addr(&self) -> io::Result<F::Address> {
        F::peer(self.inner.socket())
    }

    /// As [`TcpStream::local_addr`](crate::TcpStream::local_addr).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn local_addr(&self) -> io::Result<F::Address> {
        F::local(self.inner.socket())
    }
}

impl<S: Deref<Target = SocketInner>, F> AsFd for SocketReader<S, F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.socket().lend()
    }
}

impl<S: Deref<Target = SocketInner>, F> AsFd for SocketWriter<S, F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.socket().lend()
    }
}

/// A reference to a stream whose drop shuts the writing direction down; see [`OwnedWriteHalf`].
pub struct ShutdownOnDrop {
    inner: Arc<SocketInner>,
    forgotten: bool,
}

impl Deref for ShutdownOnDrop {
    type Target = SocketInner;

    fn deref(&self) -> &SocketInner {
        &self.inner
    }
}

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        if !self.forgotten {
            // An error means that the connection has ended already.
            let _ = self.inner.shutdown(Shutdown::Write);
        }
    }
}

impl<S, F> fmt::Debug for SocketReader<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketReader")
    }
}

impl<S, F> fmt::Debug for SocketWriter<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketWriter")
    }
}
