//! Lines of input, wherever the network cuts them.

use std::io;

use heist::net::ReadHalf;

/// The lines of one connection.
pub(crate) struct Lines<'i, 's> {
    input: &'i mut ReadHalf<'s>,
    /// What has come of lines that were not taken. It takes no memory while there is none.
    buffer: Vec<u8>,
    /// The rest of a line that is too long is still to come.
    skipping: bool,
    ended: bool,
}

/// A line without its end, which is LF or CRLF.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole(Vec<u8>),
    /// More than [`MAX_LINE`] bytes. They are thrown away as they come, as far as they do.
    TooLong,
}

impl<'i, 's> Lines<'i, 's> {
    pub(crate) fn new(input: &'i mut ReadHalf<'s>) -> Lines<'i, 's> {
        Lines { input, buffer: Vec::new(), skipping: false, ended: false }
    }

    /// Waits for the next line; `None` after the last, which need not have an end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let mut chunk = [0; CHUNK];
            let count = self.input.read(&mut chunk).await?;
            self.ended = count == 0;
            self.buffer.extend_from_slice(&chunk[..count]);
        }
    }

    /// The next line of what is there.
    fn take(&mut self) -> Option<Line> {
        loop {
            let end = memchr::memchr(b'\n', &self.buffer);
            let line = &self.buffer[..end.unwrap_or(self.buffer.len())];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let taken = match line {
                // The end of one that was refused already.
                _ if self.skipping => None,
                line if line.len() > MAX_LINE => Some(Line::TooLong),
                // More of it may come.
                line if end.is_none() && (!self.ended || line.is_empty()) => return None,
                line => Some(Line::Whole(line.to_vec())),
            };
            self.skipping = end.is_none() && !self.ended;
            self.drop_front(end.map_or(self.buffer.len(), |end| end + 1));
            if taken.is_some() || self.buffer.is_empty() {
                return taken;
            }
        }
    }

    fn drop_front(&mut self, length: usize) {
        self.buffer.drain(..length);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

/// The longest line, in bytes, without its end.
pub(crate) const MAX_LINE: usize = 1000;

/// How much is read at once. Each person's task has room for it.
const CHUNK: usize = 512;
