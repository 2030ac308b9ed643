//! Heads in the form that nearly all clients send, in one pass over their bytes.
//!
//! [`read`] is a short way of [`head::read`](super::head::read): a head that it takes, that takes with the
//! same outcome, which tests compare byte by byte. What is incomplete, malformed, too long or merely
//! unusual is left to that, so all refusals are made there. The form:
//!
//! 1. A usual method, a path of RFC 3986 with or without a query, `HTTP/1.1`.
//! 2. Fields of tokens and of visible ASCII characters and spaces.
//! 3. Each line ends in CRLF. One field is `Host`.

use super::head::{self, Fields, Head};
use super::target;
use crate::server::Limits;

/// Reads the head at the front of `bytes`, if it is whole and has the form.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Option<Head> {
    let (target, mut rest) = request_line(bytes)?;
    let mut fields = Fields::default();
    let mut count = 0;
    let behind = loop {
        if let Some(behind) = rest.strip_prefix(b"\r\n") {
            break behind;
        }
        let (name, value, behind) = field(rest)?;
        fields.add(name, value.trim_ascii()).ok()?;
        count += 1;
        rest = behind;
    };
    let length = bytes.len() - behind.len();
    let fits = target.len() <= head::longest_target(limits)
        && count <= limits.headers.min(Limits::MOST_HEADERS)
        && length <= limits.header_bytes;
    if !fits || !fields.has_host() {
        return None;
    }
    let framing = fields.framing(true, limits).ok()?;
    Some(Head { length, framing, asks_upgrade: fields.upgrade })
}

/// The target of a request line, and what is behind the line.
fn request_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = behind_method(bytes)?;
    let length = line.iter().position(|&byte| !PATH_OR_QUERY[usize::from(byte)])?;
    let (target, rest) = line.split_at(length);
    Some((target, rest.strip_prefix(b" HTTP/1.1\r\n")?)).filter(|_| target.starts_with(b"/"))
}

fn behind_method(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'G', b'E', b'T', b' ', rest @ ..]
        | [b'P', b'U', b'T', b' ', rest @ ..]
        | [b'H', b'E', b'A', b'D', b' ', rest @ ..]
        | [b'P', b'O', b'S', b'T', b' ', rest @ ..]
        | [b'P', b'A', b'T', b'C', b'H', b' ', rest @ ..]
        | [b'D', b'E', b'L', b'E', b'T', b'E', b' ', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// The name and the value of the field at the front, and what is behind its line.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let length = bytes.iter().position(|&byte| !head::is_token(byte))?;
    let (name, rest) = bytes.split_at(length);
    let rest = rest.strip_prefix(b":").filter(|_| !name.is_empty())?;
    let (value, rest) = rest.split_at(text_length(rest));
    Some((name, value, rest.strip_prefix(b"\r\n")?))
}

/// How many bytes at the front are from space to `~`.
fn text_length(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let others = first_other(u64::from_le_bytes(*word));
        if others != 0 {
            return index * size_of::<u64>() + others.trailing_zeros() as usize / 8;
        }
    }
    let is_text = |byte: &&u8| matches!(byte, b' '..=b'~');
    bytes.len() - tail.len() + tail.iter().take_while(is_text).count()
}

/// Eight bytes at once: the lowest bit that is set is the high bit of the first of them that is not from
/// space to `~`. What is set above it says nothing, as a subtraction may borrow from the bytes above.
fn first_other(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below_space = word.wrapping_sub(ONES * 0x20);
    let is_delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES);
    (below_space | is_delete | word) & (ONES * 0x80)
}

/// The characters of a path and of a query: RFC 3986 3.3 and 3.4.
const PATH_OR_QUERY: [bool; 256] = target::alphanumeric_and(b"-._~!$&'()*+,;=:@%/?");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_the_first_other_byte_wherever_that_is() {
        for length in 0..40 {
            for place in 0..=length {
                for byte in 0..=u8::MAX {
                    // What is behind it is above the borrow, or the highest byte that is text.
                    let mut bytes = vec![b'~'; length];
                    bytes[..place].fill(b' ');
                    bytes.insert(place, byte);
                    let is_text = (0x20..0x7f).contains(&byte);
                    let expected = if is_text { length + 1 } else { place };
                    assert_eq!(text_length(&bytes), expected, "{byte:#x} at {place} of {length}");
                }
            }
        }
    }
}
