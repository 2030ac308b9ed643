//! Requests that lie whole in the input: split into slices of it.

use memchr::memchr;
use smallvec::SmallVec;

/// A request: the command's name and its arguments.
pub(crate) type Args<'a> = SmallVec<[&'a [u8]; 8]>;

/// A violation of the protocol; it closes the connection. The text is the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("ERR Protocol error: invalid multibulk length")]
    Count,
    #[error("ERR Protocol error: too big mbulk count string")]
    CountLine,
    #[error("ERR Protocol error: invalid bulk length")]
    Length,
    #[error("ERR Protocol error: too big bulk count string")]
    LengthLine,
    #[error("ERR Protocol error: expected '$', got '{}'", char::from(*.0))]
    NoBulk(u8),
    #[error("ERR Protocol error: too big inline request")]
    Inline,
    #[error("ERR Protocol error: unbalanced quotes in request")]
    Quotes,
    #[error("OOM the requests of all clients take more memory than they may")]
    Memory,
}

impl Malformed {
    /// The text of the reply: a byte that the client sent is itself again.
    pub(crate) fn text(&self) -> Vec<u8> {
        self.to_string().chars().map(|latin_1| latin_1 as u8).collect()
    }
}

/// Splits the request at the front of `input` into `args` and returns its length, or 0 if its end is
/// missing. An empty request has no arguments and gets no reply.
pub(crate) fn split<'a>(input: &'a [u8], args: &mut Args<'a>) -> Result<usize, Malformed> {
    let Some((count, mut at)) = count(input)? else { return Ok(0) };
    // Memory is reserved for what came, never for what a number promises.
    for _ in 0..count {
        let Some((length, line)) = bulk_length(&input[at..])? else { return Ok(0) };
        let start = at + line;
        // Like Redis, the two bytes behind a string are skipped, whatever they are.
        if input.len() < start + length + 2 {
            return Ok(0);
        }
        args.push(&input[start..start + length]);
        at = start + length + 2;
    }
    Ok(at)
}

/// Reads `*3`: the number of strings that follow, and the length of this line.
pub(super) fn count(input: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some((line, length)) = line(input, Malformed::CountLine)? else { return Ok(None) };
    let count = number(line).filter(|count| *count <= i64::from(i32::MAX));
    // A negative count is an empty request.
    Ok(Some((count.ok_or(Malformed::Count)?.max(0) as usize, length)))
}

/// Reads `$3`: the length of the string that follows, and the length of this line.
pub(super) fn bulk_length(input: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some((line, length)) = line(input, Malformed::LengthLine)? else { return Ok(None) };
    if input[0] != b'$' {
        return Err(Malformed::NoBulk(input[0]));
    }
    let bytes = number(line).and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.filter(|bytes| *bytes <= MAX_STRING).ok_or(Malformed::Length)?;
    Ok(Some((bytes, length)))
}

/// The line at the front of `input` without its first byte, and its length with its end.
fn line(input: &[u8], too_long: Malformed) -> Result<Option<(&[u8], usize)>, Malformed> {
    match memchr(b'\r', input) {
        Some(end) if input.len() >= end + 2 => Ok(Some((&input[1.min(end)..end], end + 2))),
        _ if input.len() > MAX_LINE => Err(too_long),
        _ => Ok(None),
    }
}

/// A whole number in its one canonical form: no plus sign, no leading zero, no space.
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] if digits.len() == text.len() => return Some(0),
        [b'1'..=b'9', rest @ ..] if rest.len() < 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(digit.into())?;
    }
    if digits.len() == text.len() {
        value.try_into().ok()
    } else {
        0_i64.checked_sub_unsigned(value)
    }
}

/// A request that is incomplete at this length is taken in pieces; see
/// [`LongRequest`](super::LongRequest).
pub(crate) const LONG: usize = 16 * 1024;

/// The longest string, in a request and as a value.
pub(crate) const MAX_STRING: usize = 512 * 1024 * 1024;

/// The longest inline request, and the longest line that holds a number.
pub(crate) const MAX_LINE: usize = 64 * 1024;
