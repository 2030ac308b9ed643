//! The halves of a stream, joined again.

use std::fmt;

use crate::socket::family::Tcp;
use crate::socket::split::{self, OwnedReadHalf, OwnedWriteHalf};
use crate::socket::stream::Socket;

impl<F> OwnedReadHalf<F> {
    /// Joins the halves of one stream again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with both halves, if they are not of one stream.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::UnixStream;
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let (near, mut far) = UnixStream::pair()?;
    ///     let (reader, mut writer) = near.into_split();
    ///     writer.write_all(b"one").await?;
    ///     let mut near: UnixStream = reader.reunite(writer).expect("they are of one stream");
    ///     near.write_all(b"two").await?;
    ///     drop(near);
    ///     assert_eq!(far.read_to_end_limited(100).await?, b"onetwo");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reunite(self, writer: OwnedWriteHalf<F>) -> Result<Socket<F>, ReuniteError<F>> {
        let joined = split::joined(self, writer);
        joined.map(Socket::from_inner).map_err(|(reader, writer)| ReuniteError(reader, writer))
    }
}

impl<F> OwnedWriteHalf<F> {
    /// As [`OwnedReadHalf::reunite`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn reunite(self, reader: OwnedReadHalf<F>) -> Result<Socket<F>, ReuniteError<F>> {
        reader.reunite(self)
    }
}

/// The error of [`OwnedReadHalf::reunite`]: the two halves, which are not of one stream.
pub struct ReuniteError<F = Tcp>(pub OwnedReadHalf<F>, pub OwnedWriteHalf<F>);

impl<F> fmt::Debug for ReuniteError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReuniteError").field(&self.0).field(&self.1).finish()
    }
}

impl<F> fmt::Display for ReuniteError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are not of one stream")
    }
}

impl<F> std::error::Error for ReuniteError<F> {}
