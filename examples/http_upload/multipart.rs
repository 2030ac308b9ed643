//! Parses a body into parts (RFC 2046, section 5.1). No input or output is done here.
//!
//! ```text
//! preamble CRLF --boundary CRLF head CRLF content CRLF --boundary CRLF head … CRLF --boundary-- epilogue
//! ```
//!
//! Preamble and epilogue are skipped. A boundary inside of either is refused, because it may hide a
//! part. So is a line that begins with the boundary and goes on.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use crate::header::BadHeader;
use crate::part::Part;

/// A parser: feed it bytes, and take events until there is none.
pub(crate) struct Multipart {
    /// CRLF, two dashes, and the boundary.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    /// No more bytes will be fed.
    ended: bool,
    skipped: usize,
    state: State,
}

/// The element that is next in the buffer.
#[derive(Clone, Copy)]
enum State {
    Preamble,
    /// After a delimiter: two dashes if it was the last one.
    Delimited,
    Head,
    /// The empty line that ends a head. It begins the next delimiter if the part has no content.
    EmptyLine,
    Content,
    Epilogue,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Part(Part),
    /// Of the part before; never empty.
    Content(Bytes),
    EndOfPart,
    /// The form is complete, and so is the body.
    End,
}

/// Why a body is no form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the form is incomplete")]
    Incomplete,
    #[error("no part of a form within {MOST_PREAMBLE} bytes")]
    NoPart,
    #[error("the head of a part is longer than {MOST_HEAD} bytes")]
    LongHead,
    #[error("the boundary is inside of a line, or after the end of the form")]
    StrayBoundary,
    #[error(transparent)]
    Head(#[from] BadHeader),
}

impl Multipart {
    pub(crate) fn new(boundary: &[u8]) -> Multipart {
        Multipart {
            delimiter: [b"\r\n--", boundary].concat(),
            // The first delimiter may be at the very beginning.
            buffer: BytesMut::from("\r\n"),
            ended: false,
            skipped: 0,
            state: State::Preamble,
        }
    }

    pub(crate) fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// No more bytes will be fed.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The next event; `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Malformed> {
        loop {
            let step = match self.state {
                State::Preamble => self.preamble()?,
                State::Delimited => self.delimited(),
                State::Head => self.head()?,
                State::EmptyLine => self.empty_line(),
                State::Content => self.content(),
                State::Epilogue => self.epilogue()?,
            };
            let (event, state) = match step {
                Step::To(state) => (None, state),
                Step::Event(event, state) => (Some(event), state),
                Step::Starved if self.ended => return Err(Malformed::Incomplete),
                Step::Starved => return Ok(None),
            };
            self.state = state;
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn preamble(&mut self) -> Result<Step, Malformed> {
        match memmem::find(&self.buffer, self.dashed()) {
            Some(at) if self.buffer[..at].ends_with(b"\r\n") => {
                self.buffer.advance(at + self.dashed().len());
                Ok(Step::To(State::Delimited))
            }
            Some(_) => Err(Malformed::StrayBoundary),
            None => {
                self.skip();
                if self.skipped > MOST_PREAMBLE {
                    return Err(Malformed::NoPart);
                }
                Ok(Step::Starved)
            }
        }
    }

    fn delimited(&mut self) -> Step {
        match self.buffer.get(..2) {
            None => Step::Starved,
            Some(b"--") => {
                self.buffer.advance(2);
                Step::To(State::Epilogue)
            }
            Some(_) => Step::To(State::Head),
        }
    }

    /// The rest of the delimiter's line, and the head up to its empty line.
    fn head(&mut self) -> Result<Step, Malformed> {
        let end = memmem::find(&self.buffer, b"\r\n\r\n");
        if end.unwrap_or(self.buffer.len()) > MOST_HEAD {
            return Err(Malformed::LongHead);
        }
        let Some(end) = end else { return Ok(Step::Starved) };
        let with_padding = &self.buffer[..end + 4];
        let padding = with_padding.iter().take_while(|byte| b" \t".contains(byte)).count();
        let head = with_padding[padding..].strip_prefix(b"\r\n");
        let part = Part::parse(head.ok_or(Malformed::StrayBoundary)?)?;
        self.buffer.advance(end + 2);
        Ok(Step::Event(Event::Part(part), State::EmptyLine))
    }

    fn empty_line(&mut self) -> Step {
        if self.buffer.len() < self.delimiter.len() {
            return Step::Starved;
        }
        if !self.buffer.starts_with(&self.delimiter) {
            self.buffer.advance(2);
        }
        Step::To(State::Content)
    }

    /// Bytes that may begin a delimiter stay in the buffer until the next ones decide.
    fn content(&mut self) -> Step {
        let delimiter = memmem::find(&self.buffer, &self.delimiter);
        let held_back = self.delimiter.len() - 1;
        match delimiter.unwrap_or(self.buffer.len().saturating_sub(held_back)) {
            0 if delimiter.is_none() => Step::Starved,
            0 => {
                self.buffer.advance(self.delimiter.len());
                Step::Event(Event::EndOfPart, State::Delimited)
            }
            length => {
                let content = self.buffer.split_to(length).freeze();
                Step::Event(Event::Content(content), State::Content)
            }
        }
    }

    fn epilogue(&mut self) -> Result<Step, Malformed> {
        if memmem::find(&self.buffer, self.dashed()).is_some() {
            return Err(Malformed::StrayBoundary);
        }
        self.skip();
        Ok(if self.ended { Step::Event(Event::End, State::Epilogue) } else { Step::Starved })
    }

    /// The delimiter without the end of the line before.
    fn dashed(&self) -> &[u8] {
        &self.delimiter[2..]
    }

    /// Drops all bytes but those that may begin a delimiter.
    fn skip(&mut self) {
        let length = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
        self.buffer.advance(length);
        self.skipped += length;
    }
}

/// What the buffer has of the current state, with the state after it.
enum Step {
    Event(Event, State),
    To(State),
    /// More bytes are needed.
    Starved,
}

/// Clients send none. The bound ends a body that has no part at all.
const MOST_PREAMBLE: usize = 64 * 1024;

/// The field and file names stay in memory until the form ends.
const MOST_HEAD: usize = 4 * 1024;
