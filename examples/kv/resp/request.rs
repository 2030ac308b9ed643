//! Requests that lie whole in the input: split into slices of it.

use memchr::memchr;
use smallvec::SmallVec;

/// A request: the command's name and its arguments.
pub(crate) type Args<'a> = SmallVec<[&'a [u8]; 8]>;

/// What no request may be. The text is what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("ERR Protocol error: invalid multibulk length")]
    Count,
    #[error("ERR Protocol error: invalid bulk length")]
    Length,
    #[error("ERR Protocol error: expected '$'")]
    NoBulk,
    #[error("ERR Protocol error: expected CRLF behind a bulk string")]
    NoEnd,
    #[error("ERR Protocol error: too big inline request")]
    Inline,
    #[error("ERR Protocol error: a request of more than 32 MiB")]
    TooLong,
}

/// Splits the request in front of `input` into `args` and returns its length, or 0 if its end is
/// not there yet. No arguments stand for an empty line, which is not answered.
pub(crate) fn split<'a>(input: &'a [u8], args: &mut Args<'a>) -> Result<usize, Malformed> {
    if input[0] != b'*' {
        return split_inline(input, args);
    }
    let Some((count, mut at)) = count(input)? else { return Ok(0) };
    // Room is made for what came, never for what a number promises.
    for _ in 0..count {
        let Some((length, head)) = bulk_length(&input[at..])? else { return Ok(0) };
        let start = at + head;
        let Some(end) = input.get(start + length..start + length + 2) else { return Ok(0) };
        if end != b"\r\n" {
            return Err(Malformed::NoEnd);
        }
        args.push(&input[start..start + length]);
        at = start + length + 2;
    }
    Ok(at)
}

/// A line of words, as people type it.
fn split_inline<'a>(input: &'a [u8], args: &mut Args<'a>) -> Result<usize, Malformed> {
    let Some(end) = memchr(b'\n', input) else {
        return if input.len() < LONG { Ok(0) } else { Err(Malformed::Inline) };
    };
    let words = input[..end].split(u8::is_ascii_whitespace);
    args.extend(words.filter(|word| !word.is_empty()));
    Ok(end + 1)
}

/// Reads `*3`: how many strings follow, and the length of this line.
pub(super) fn count(input: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some((count, length)) = number(input, Malformed::Count)? else { return Ok(None) };
    // A client may send nothing, or less.
    let count = usize::try_from(count.max(0)).map_err(|_| Malformed::Count)?;
    if count > MAX_ARGS { Err(Malformed::Count) } else { Ok(Some((count, length))) }
}

/// Reads `$3`: how long the string is that follows, and the length of this line.
pub(super) fn bulk_length(input: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    match input.first() {
        None => return Ok(None),
        Some(b'$') => {}
        Some(_) => return Err(Malformed::NoBulk),
    }
    let Some((bytes, length)) = number(input, Malformed::Length)? else { return Ok(None) };
    match usize::try_from(bytes) {
        Ok(bytes) if bytes <= MAX_BULK => Ok(Some((bytes, length))),
        _ => Err(Malformed::Length),
    }
}

/// Reads a line that is a marker and a decimal number, and returns the number and the line's
/// length.
fn number(input: &[u8], wrong: Malformed) -> Result<Option<(i64, usize)>, Malformed> {
    let (negative, first) = match input.get(1) {
        Some(b'-') => (true, 2),
        _ => (false, 1),
    };
    let mut value = 0;
    for (index, &byte) in input.iter().enumerate().skip(first).take(MAX_DIGITS + 1) {
        match byte {
            b'0'..=b'9' if index < first + MAX_DIGITS => {
                value = value * 10 + i64::from(byte - b'0')
            }
            b'\r' if index > first => {
                return match input.get(index + 1) {
                    None => Ok(None),
                    Some(b'\n') => Ok(Some((if negative { -value } else { value }, index + 2))),
                    Some(_) => Err(wrong),
                };
            }
            _ => return Err(wrong),
        }
    }
    Ok(None)
}

/// A request that is incomplete at this length is no longer looked for whole in the input: see
/// [`LongRequest`](super::LongRequest).
pub(crate) const LONG: usize = 16 * 1024;

/// The most strings in a request.
pub(super) const MAX_ARGS: usize = 64 * 1024;

/// The longest string in a request.
pub(super) const MAX_BULK: usize = 8 * 1024 * 1024;

/// Far more than any number that is allowed has.
const MAX_DIGITS: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8]) -> Result<(usize, Vec<&[u8]>), Malformed> {
        let mut args = Args::new();
        split(input, &mut args).map(|length| (length, args.to_vec()))
    }

    #[test]
    fn request_is_split_into_slices_and_its_end_is_found() {
        let input = b"*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\nPING\r\n";
        assert_eq!(whole(input), Ok((23, vec![&b"ECHO"[..], b"a\r\n"])));
        assert_eq!(whole(&input[23..]), Ok((6, vec![&b"PING"[..]])));
        for cut in 1..23 {
            assert_eq!(whole(&input[..cut]).map(|(length, _)| length), Ok(0), "{cut}");
        }
    }

    #[test]
    fn empty_requests_are_taken_and_have_no_name() {
        for input in [&b"*0\r\n"[..], b"*-1\r\n", b"\r\n", b"  \n"] {
            assert_eq!(whole(input), Ok((input.len(), vec![])));
        }
    }

    #[test]
    fn hostile_numbers_are_refused_before_anything_is_allocated() {
        for (input, error) in [
            (&b"*99999\r\n"[..], Malformed::Count),
            (b"*1234567890123456789\r\n", Malformed::Count),
            (b"*x\r\n", Malformed::Count),
            (b"*\r\n", Malformed::Count),
            (b"*1\r\n$9999999999\r\n", Malformed::Length),
            (b"*1\r\n$-1\r\n", Malformed::Length),
            (b"*1\r\n+OK\r\n", Malformed::NoBulk),
            (b"*1\r\n$1\r\nabc", Malformed::NoEnd),
        ] {
            assert_eq!(whole(input), Err(error), "{}", input.escape_ascii());
        }
        assert_eq!(whole(&[b'x'; LONG]), Err(Malformed::Inline));
    }
}
