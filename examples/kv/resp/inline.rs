//! Inline requests: a line of words, as people type it.

use std::borrow::Cow;

use super::request::{Args, Malformed};

/// Splits `line` into words. A word may contain parts in double quotes, with escapes as in C, or in
/// single quotes, where only `\'` is one. A closing quote ends its word.
pub(super) fn words<'a>(line: &'a [u8], args: &mut Args<'a>) -> Result<(), Malformed> {
    let mut rest = line;
    loop {
        let start = rest.iter().position(|byte| !is_blank(*byte));
        let Some(start) = start else { return Ok(()) };
        let (word, after) = word(&rest[start..])?;
        args.push(word);
        rest = after;
    }
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
