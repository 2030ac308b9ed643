//! Inline requests: a line of words, as people type it.

use std::borrow::Cow;

use memchr::memchr;
use smallvec::SmallVec;

use super::request::{MAX_LINE, Malformed};

/// The words of a line; those without quotes are not copied.
pub(crate) type Words<'a> = SmallVec<[Cow<'a, [u8]>; 4]>;

/// Splits the line at the front of `input` into `words`, and returns its length, or 0 if its end is
/// missing.
///
/// A word may contain parts in double quotes, with escapes as in C, or in single quotes, where only
/// `\'` is one. A closing quote ends its word.
pub(crate) fn inline<'a>(input: &'a [u8], words: &mut Words<'a>) -> Result<usize, Malformed> {
    let Some(end) = memchr(b'\n', input) else {
        return if input.len() <= MAX_LINE { Ok(0) } else { Err(Malformed::Inline) };
    };
    let mut rest = &input[..end];
    while let Some(start) = rest.iter().position(|byte| !is_blank(*byte)) {
        let (word, after) = word(&rest[start..])?;
        words.push(word);
        rest = after;
    }
    Ok(end + 1)
}

/// The word at the front of `text`, and what follows it.
fn word(text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Malformed> {
    let plain = text.iter().position(|byte| ends_word(*byte) || matches!(byte, b'"' | b'\''));
    match plain {
        None => return Ok((Cow::Borrowed(text), &[])),
        Some(end) if ends_word(text[end]) => {
            return Ok((Cow::Borrowed(&text[..end]), &text[end..]));
        }
        Some(_) => {}
    }
    let (mut word, mut rest) = (Vec::new(), text);
    while let [byte, after @ ..] = rest {
        match byte {
            byte if ends_word(*byte) => break,
            b'"' => rest = quoted(after, b'"', unescape, &mut word)?,
            b'\'' => rest = quoted(after, b'\'', unescape_apostrophe, &mut word)?,
            byte => {
                word.push(*byte);
                rest = after;
                continue;
            }
        }
        break;
    }
    Ok((Cow::Owned(word), rest))
}

/// An escape at the front of the text: the byte it stands for, and its length.
type Unescape = fn(&[u8]) -> Option<(u8, usize)>;

/// Appends text up to the closing `quote` to `word`, and returns what follows the quote.
fn quoted<'a>(
    mut text: &'a [u8],
    quote: u8,
    unescape: Unescape,
    word: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    loop {
        let (byte, length) = match text {
            [] => return Err(Malformed::Quotes),
            [first, rest @ ..] if *first == quote => {
                return match rest {
                    [next, ..] if !is_blank(*next) => Err(Malformed::Quotes),
                    _ => Ok(rest),
                };
            }
            [first, ..] => unescape(text).unwrap_or((*first, 1)),
        };
        word.push(byte);
        text = &text[length..];
    }
}

fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    Some(match text {
        [b'\\', b'x', high, low, ..] if hex(*high).is_some() && hex(*low).is_some() => {
            ((hex(*high)? * 16 + hex(*low)?) as u8, 4)
        }
        [b'\\', b'n', ..] => (b'\n', 2),
        [b'\\', b'r', ..] => (b'\r', 2),
        [b'\\', b't', ..] => (b'\t', 2),
        [b'\\', b'b', ..] => (8, 2),
        [b'\\', b'a', ..] => (7, 2),
        [b'\\', other, ..] => (*other, 2),
        _ => return None,
    })
}

fn unescape_apostrophe(text: &[u8]) -> Option<(u8, usize)> {
    text.starts_with(b"\\'").then_some((b'\'', 2))
}

fn is_blank(byte: u8) -> bool {
    ends_word(byte) || matches!(byte, 0x0b | 0x0c)
}

fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
