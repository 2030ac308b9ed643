//! SCAN and its like: all of something, a few at a time.

use super::Failure;
use super::number::{count, integer};
use crate::resp::Reply;
use crate::store::{Hash, Held, Set};

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
///
/// A cursor is a shard and a place in it, from which the scan goes on *downwards*. A key that is
/// removed is replaced by the last one of its shard, which the scan has seen already if it has seen
/// the removed one. So what is there throughout is seen at least once, whatever is added or removed
/// meanwhile.
pub(crate) fn scan(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let options = Options::parse(&args[2..])?;
    let mut cursor = Cursor::decode(integer(args[1])?);
    let mut found = Vec::new();
    let mut left = options.count;
    let shards = held.shards().count();
    while left > 0 && cursor.shard < shards {
        let end = cursor.below.min(held.shard_len(cursor.shard));
        let step = left.min(end);
        let wanted = held.below(cursor.shard, end, step).filter(|(_, key, value)| {
            options.matches(key)
                && options.kind.is_none_or(|kind| kind == value.type_name().as_bytes())
        });
        found.extend(wanted.map(|(_, key, _)| key.to_vec()));
        // An empty shard costs something too.
        left -= step.max(1);
        cursor = cursor.after(end - step);
    }
    reply.array(2);
    reply.bulk(cursor.encode(shards).to_string().as_bytes());
    reply.array(found.len());
    found.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

/// Where a scan goes on.
#[derive(Clone, Copy)]
struct Cursor {
    shard: usize,
    /// Places below this one were not looked at.
    below: usize,
}

impl Cursor {
    fn decode(number: i64) -> Cursor {
        let (shard, below) = ((number >> PLACE_BITS) as usize, number & PLACE_MASK);
        // The first place of all would be 0, which means to begin.
        Cursor { shard, below: if below == 0 { usize::MAX } else { below as usize } }
    }

    fn encode(self, shards: usize) -> i64 {
        match (self.shard < shards, self.below) {
            (false, _) => 0,
            (true, usize::MAX) => (self.shard as i64) << PLACE_BITS,
            (true, below) => (self.shard as i64) << PLACE_BITS | below as i64 & PLACE_MASK,
        }
    }

    /// On below `place`, or in the next shard.
    fn after(self, place: usize) -> Cursor {
        match place {
            0 => Cursor { shard: self.shard + 1, below: usize::MAX },
            below => Cursor { shard: self.shard, below },
        }
    }
}

const PLACE_BITS: u32 = 40;
const PLACE_MASK: i64 = (1 << PLACE_BITS) - 1;

pub(crate) fn hscan(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let options = Options::parse(&args[3..])?;
    let cursor = count(args[2])?;
    let hash = held.read::<Hash>(args[1])?;
    let (next, places) = options.places(cursor, hash.map_or(0, |hash| hash.len()));
    let fields = places.rev().filter_map(|place| hash?.get_index(place));
    let found: Vec<_> = fields.filter(|(field, _)| options.matches(field)).collect();
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(found.len() * 2);
    for (field, value) in found {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

pub(crate) fn sscan(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let options = Options::parse(&args[3..])?;
    let cursor = count(args[2])?;
    let set = held.read::<Set>(args[1])?;
    let (next, places) = options.places(cursor, set.map_or(0, |set| set.len()));
    let members = places.rev().filter_map(|place| set?.get_index(place));
    let found: Vec<_> = members.filter(|member| options.matches(member)).collect();
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(found.len());
    found.into_iter().for_each(|member| reply.bulk(member));
    Ok(())
}

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a [u8]]) -> Result<Options<'a>, Failure> {
        let mut options = Options { pattern: None, count: 10, kind: None };
        for pair in words.chunks(2) {
            let [name, value] = pair else { return Err(Failure::Syntax) };
            match &name.to_ascii_uppercase()[..] {
                b"MATCH" => options.pattern = Some(value),
                b"COUNT" => options.count = count(value)?,
                b"TYPE" => options.kind = Some(value),
                _ => return Err(Failure::Syntax),
            }
        }
        if options.count == 0 { Err(Failure::Syntax) } else { Ok(options) }
    }

    fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob(pattern, name))
    }

    /// The next cursor, and the places to look at now, of `length`.
    fn places(&self, cursor: usize, length: usize) -> (usize, std::ops::Range<usize>) {
        let end = if cursor == 0 { length } else { cursor.min(length) };
        let start = end.saturating_sub(self.count);
        (start, start..end)
    }
}

/// Whether `name` is what `pattern` describes: `*` any bytes, `?` any one, `[a-z]` one of these,
/// `[^a-z]` one not of these, `\` the next as it is.
///
/// When it does not fit, only the last `*` has to take one more byte, so a hostile pattern costs at
/// most the product of both lengths.
pub(crate) fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star = None;
    while place < name.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, place));
            continue;
        }
        match one(&pattern[at..], name[place]) {
            Some(length) => {
                at += length;
                place += 1;
            }
            None => {
                let Some((behind, from)) = star else { return false };
                star = Some((behind, from + 1));
                (at, place) = (behind, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// The length of the pattern's first element, if it stands for `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    let (fits, length) = match pattern {
        [] => return None,
        [b'?', ..] => (true, 1),
        [b'[', rest @ ..] => {
            let (fits, length) = class(rest, byte);
            (fits, length + 1)
        }
        [b'\\', escaped, ..] => (*escaped == byte, 2),
        [literal, ..] => (*literal == byte, 1),
    };
    fits.then_some(length)
}

/// Whether `byte` is in the class that begins here, behind its bracket, and the class's length.
fn class(pattern: &[u8], byte: u8) -> (bool, usize) {
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match pattern[at..] {
            // A class without an end reaches to the end.
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                at += 2;
            }
            [first, b'-', last, ..] if last != b']' => {
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                at += 3;
            }
            [single, ..] => {
                found |= single == byte;
                at += 1;
            }
        }
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("**a", "bba", true),
            ("h?llo", "hallo", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hxllo", false),
            ("[abc", "b", true),
            ("[a-", "-", true),
            ("\\", "\\", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }
}
