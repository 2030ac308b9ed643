//! The futures around the directions of a copy.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::direction::{AtEnd, Direction};

/// Copies what `reader` brings to `writer` until the reader ends, flushes the writer, and returns
/// the number of bytes. The writer is not closed.
///
/// Nothing is read while bytes wait for the writer, and no buffer is owned while the reader has
/// none. It yields by the [budget](heist_scheduler::coop) of the poll, also where the streams spend
/// none of it.
///
/// Not cancel-safe: bytes that were read and not yet written are lost with the future.
///
/// # Errors
///
/// The first error of either stream, and `WriteZero` if the writer takes nothing.
///
/// ```
/// use heist::{Runtime, io};
/// use heist::net::UnixStream;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let (mut near, mut far) = UnixStream::pair()?;
///     near.write_all(b"hello").await?;
///     near.shutdown().await?;
///     let (mut writer, mut other) = UnixStream::pair()?;
///     assert_eq!(io::copy(&mut far, &mut writer).await?, 5);
///     let mut copied = [0; 5];
///     other.read_exact(&mut copied).await?;
///     assert_eq!(&copied, b"hello");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut direction = Direction::new();
    poll_fn(|cx| direction.poll(cx, Pin::new(reader), Pin::new(writer), AtEnd::Flush)).await
}

/// Copies in both directions between two streams until both have ended, and returns the number of
/// bytes from `a` to `b` and from `b` to `a`.
///
/// The end of one stream closes the writing direction of the other (`AsyncWrite::poll_close`: a TCP
/// stream is shut down for writing, TLS sends `close_notify` first), and the other direction goes
/// on. An error ends both. Time limits and limits of rate are the caller's: an idle pair of streams
/// is copied for ever, at no cost but its sockets.
///
/// Each direction is as [`copy`]: it reads nothing while bytes wait for its writer, owns no buffer
/// while its reader has none, and yields by the budget. The directions take turns to be first.
///
/// It takes what implements the traits of `futures-io`, such as the streams of heist, plain and
/// over TLS. Streams that implement tokio's traits alone go through `tokio_util::compat`.
///
/// Not cancel-safe: bytes that were read and not yet written are lost with the future.
///
/// # Errors
///
/// The first error of either stream, and `WriteZero` if one takes nothing.
///
/// ```
/// use heist::{Runtime, io};
/// use heist::net::{TcpListener, TcpStream};
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let service = TcpListener::bind("127.0.0.1:0").await?;
///     let proxy = TcpListener::bind("127.0.0.1:0").await?;
///     let (behind, front) = (service.local_addr()?, proxy.local_addr()?);
///     let proxied = heist::spawn(async move {
///         let (mut client, _peer) = proxy.accept().await?;
///         let mut server = TcpStream::connect(behind).await?;
///         io::copy_bidirectional(&mut client, &mut server).await
///     });
///
///     let mut client = TcpStream::connect(front).await?;
///     client.write_all(b"ping").await?;
///     client.shutdown().await?;
///     let (mut server, _peer) = service.accept().await?;
///     // The server sees the end of the question, and can still answer.
///     assert_eq!(server.read_to_end_limited(100).await?, b"ping");
///     server.write_all(b"pong!").await?;
///     drop(server);
///     assert_eq!(client.read_to_end_limited(100).await?, b"pong!");
///     assert_eq!(proxied.await.unwrap()?, (4, 5));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let mut pair = Pair { there: Direction::new(), back: Direction::new(), back_first: true };
    poll_fn(|cx| pair.poll(cx, a, b)).await
}

/// The two directions between two streams.
struct Pair {
    there: Direction,
    back: Direction,
    /// Which one this poll began with: one that is always ready would spend the budget of each poll.
    back_first: bool,
}

impl Pair {
    fn poll<A, B>(
        &mut self,
        cx: &mut Context<'_>,
        a: &mut A,
        b: &mut B,
    ) -> Poll<io::Result<(u64, u64)>>
    where
        A: AsyncRead + AsyncWrite + Unpin + ?Sized,
        B: AsyncRead + AsyncWrite + Unpin + ?Sized,
    {
        self.back_first = !self.back_first;
        let (there, back);
        if self.back_first {
            back = self.back.poll(cx, Pin::new(&mut *b), Pin::new(&mut *a), AtEnd::Close)?;
            there = self.there.poll(cx, Pin::new(a), Pin::new(b), AtEnd::Close)?;
        } else {
            there = self.there.poll(cx, Pin::new(&mut *a), Pin::new(&mut *b), AtEnd::Close)?;
            back = self.back.poll(cx, Pin::new(b), Pin::new(a), AtEnd::Close)?;
        }
        match (there, back) {
            (Poll::Ready(there), Poll::Ready(back)) => Poll::Ready(Ok((there, back))),
            _ => Poll::Pending,
        }
    }
}
