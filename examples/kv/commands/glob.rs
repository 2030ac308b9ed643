//! Patterns of keys.

/// Whether `name` matches `pattern`: `*` is any text, `?` any byte, `[a-c]` one of these, `[^a-c]`
/// one of the others, and `\` takes the next byte as it is.
///
/// It takes time in proportion to the product of the lengths, whatever the pattern.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern, mut name) = (pattern, name);
    // What follows the last star, and the text that this star has not taken yet.
    let mut retry = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            (pattern, retry) = (rest, Some((rest, name)));
            continue;
        }
        if pattern.is_empty() && name.is_empty() {
            return true;
        }
        let next = name.split_first();
        let next = next.and_then(|(byte, rest)| Some((after_match(pattern, *byte)?, rest)));
        match next.or_else(|| back(&mut retry)) {
            Some(place) => (pattern, name) = place,
            None => return false,
        }
    }
}

type Place<'a> = (&'a [u8], &'a [u8]);

/// Lets the last star take one byte more.
fn back<'a>(retry: &mut Option<Place<'a>>) -> Option<Place<'a>> {
    let (pattern, name) = (*retry)?;
    let (_, rest) = name.split_first()?;
    *retry = Some((pattern, rest));
    *retry
}

/// What follows the element at the front of `pattern`, if that matches `byte`.
fn after_match(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => after_class(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
        [] => None,
    }
}

/// Like Redis: a class that is not closed ends with the pattern, `]` may end a range, and bytes of
/// a range are signed.
fn after_class(class: &[u8], byte: u8) -> Option<&[u8]> {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [b'\\', literal, after @ ..] => {
                found |= *literal == byte;
                after
            }
            [b']', after @ ..] => return (found != negated).then_some(after),
            [] => return (found != negated).then_some(rest),
            [one, b'-', other, after @ ..] => {
                let (one, other, byte) = (*one as i8, *other as i8, byte as i8);
                found |= (one.min(other)..=one.max(other)).contains(&byte);
                after
            }
            [single, after @ ..] => {
                found |= *single == byte;
                after
            }
        };
    }
}
