//! Bodies in chunks: RFC 9112 7.1.

use super::head;
use super::refusal::Refusal;
use crate::server::Limits;

/// A chunked body: the state of the next byte.
///
/// Each byte of the framing is checked by itself. What hyper would parse otherwise than another server
/// is refused: above all an LF without a CR, which hyper takes for part of a trailer.
#[derive(Debug)]
pub(super) struct ChunkedBody {
    at: At,
    /// The size of the chunk so far, and then how much of the chunk is left.
    size: u64,
    /// Digits of the size.
    digits: u8,
    /// How many more bytes the body may have.
    left: u64,
    /// Bytes of chunk extensions, of all chunks.
    extensions: usize,
    /// Bytes and lines of the trailer section.
    trailer_bytes: usize,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    /// Behind the size, where white space may be.
    SizeEnd,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The beginning of a line of the trailer section, or of its end.
    Line,
    Name,
    Value,
    LineLf,
    EndLf,
}

/// How far the framing is valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// This many bytes were checked.
    pub(super) length: usize,
    pub(super) end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It goes on behind them.
    None,
    /// The body ends with the last of them.
    Whole,
    /// The byte behind them is wrong.
    Refused(Refusal),
}

impl ChunkedBody {
    pub(super) fn new(limits: &Limits) -> ChunkedBody {
        ChunkedBody {
            at: At::Size,
            size: 0,
            digits: 0,
            left: head::longest_body(limits),
            extensions: 0,
            trailer_bytes: 0,
            trailers: 0,
        }
    }

    /// Checks `bytes` up to the end of the body.
    pub(super) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Read {
        let mut length = 0;
        while let Some(&byte) = bytes.get(length) {
            if self.at == At::Data {
                length += self.data(bytes.len() - length);
                continue;
            }
            match self.step(byte, limits) {
                Ok(Some(next)) => self.at = next,
                Ok(None) => return Read { length: length + 1, end: End::Whole },
                Err(refusal) => return Read { length, end: End::Refused(refusal) },
            }
            length += 1;
        }
        Read { length, end: End::None }
    }

    /// Passes over data, of which so many bytes are there.
    fn data(&mut self, there: usize) -> usize {
        let length = usize::try_from(self.size).map_or(there, |size| size.min(there));
        self.size -= length as u64;
        if self.size == 0 {
            self.at = At::DataCr;
        }
        length
    }

    /// The state behind `byte`; `None` behind the end of the body.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<Option<At>, Refusal> {
        Ok(Some(match (self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte)?,
            (At::Size | At::SizeEnd, b'\r') if self.digits > 0 => At::SizeLf,
            (At::Size | At::SizeEnd, b';') if self.digits > 0 => At::Extension,
            (At::Size | At::SizeEnd, b' ' | b'\t') if self.digits > 0 => self.space()?,
            (At::Size | At::SizeEnd, _) => return Err(SIZE),
            (At::Extension, b'\r') => At::SizeLf,
            (At::Extension, _) if is_text(byte) => self.extension()?,
            (At::Extension, _) => return Err(Refusal::malformed("a chunk extension is malformed")),
            (At::SizeLf, b'\n') => self.size_ends()?,
            (At::SizeLf, _) => return Err(SIZE),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::Data | At::DataCr | At::DataLf, _) => {
                return Err(Refusal::malformed("a chunk is longer than its size"));
            }
            (At::Line, b'\r') => At::EndLf,
            (At::Line | At::Name, _) if head::is_token(byte) => self.trailer(At::Name, limits)?,
            (At::Name, b':') => self.trailer(At::Value, limits)?,
            (At::Value, b'\r') => self.trailer(At::LineLf, limits)?,
            (At::Value, _) if is_text(byte) => self.trailer(At::Value, limits)?,
            (At::LineLf, b'\n') => self.trailer_ends(limits)?,
            (At::EndLf, b'\n') => return Ok(None),
            (At::Line | At::Name | At::Value | At::LineLf | At::EndLf, _) => {
                return Err(Refusal::malformed("the trailer section is malformed"));
            }
        }))
    }

    fn digit(&mut self, byte: u8) -> Result<At, Refusal> {
        let digit = char::from(byte).to_digit(16).ok_or(SIZE)?;
        self.digits += 1;
        if self.digits > MOST_DIGITS || self.size > u64::MAX >> 4 {
            return Err(SIZE);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(At::Size)
    }

    fn space(&mut self) -> Result<At, Refusal> {
        self.extension().map(|_| At::SizeEnd)
    }

    fn extension(&mut self) -> Result<At, Refusal> {
        self.extensions += 1;
        match self.extensions > MOST_EXTENSION_BYTES {
            true => Err(Refusal::malformed("the chunk extensions are too long")),
            false => Ok(At::Extension),
        }
    }

    /// The size of a chunk is known: it is checked against the limit before the chunk comes.
    fn size_ends(&mut self) -> Result<At, Refusal> {
        self.digits = 0;
        self.left = self.left.checked_sub(self.size).ok_or(Refusal::BODY_TOO_LONG)?;
        Ok(if self.size == 0 { At::Line } else { At::Data })
    }

    fn trailer(&mut self, next: At, limits: &Limits) -> Result<At, Refusal> {
        self.trailer_bytes += 1;
        // hyper counts the line's LF and the two bytes of the end as well, and stops at the bound.
        match self.trailer_bytes + 3 < limits.header_bytes {
            true => Ok(next),
            false => Err(Refusal::FIELDS_TOO_LARGE),
        }
    }

    fn trailer_ends(&mut self, limits: &Limits) -> Result<At, Refusal> {
        self.trailers += 1;
        match self.trailers > limits.headers {
            true => Err(Refusal::FIELDS_TOO_LARGE),
            false => self.trailer(At::Line, limits),
        }
    }
}

const SIZE: Refusal = Refusal::malformed("the size of a chunk is malformed");

/// The bytes of a field's value and of a chunk extension.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// More are zeros that only keep the server busy.
const MOST_DIGITS: u8 = 32;

/// Of all chunks of a body. hyper takes as much, and nothing here reads them.
const MOST_EXTENSION_BYTES: usize = 16 * 1024 - 1;
