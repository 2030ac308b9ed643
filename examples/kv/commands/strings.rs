//! Text, and numbers in it.

use heist::time::Instant;

use super::Failure;
use super::keys::{Unit, deadline};
use super::number::{float, integer, range};
use crate::resp::Reply;
use crate::store::Held;

type Text = Vec<u8>;

pub(crate) fn get(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let text = held.read::<Text>(args[1])?;
    reply.bulk_or_null(text.map(Vec::as_slice));
    Ok(())
}

/// `SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT time | PXAT time | KEEPTTL]`
pub(crate) fn set(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let (key, value) = (args[1], args[2]);
    if args.len() == 3 {
        held.put_text(key, value);
        reply.ok();
        return Ok(());
    }
    let options = SetOptions::parse(&args[3..], held)?;
    if options.get {
        // Also says so if it is no text, before anything is changed.
        let old = held.read::<Text>(key)?.cloned();
        options.apply(key, value, held);
        reply.bulk_or_null(old.as_deref());
    } else if options.apply(key, value, held) {
        reply.ok();
    } else {
        reply.null();
    }
    Ok(())
}

#[derive(Default)]
struct SetOptions {
    /// Only if there is a value already, or only if there is none.
    only_if: Option<bool>,
    get: bool,
    keep_expiry: bool,
    expires: Option<Instant>,
}

impl SetOptions {
    fn parse(mut words: &[&[u8]], held: &Held<'_>) -> Result<SetOptions, Failure> {
        let mut options = SetOptions::default();
        while let [word, rest @ ..] = words {
            words = rest;
            match &word.to_ascii_uppercase()[..] {
                b"NX" if options.only_if.is_none() => options.only_if = Some(false),
                b"XX" if options.only_if.is_none() => options.only_if = Some(true),
                b"GET" => options.get = true,
                b"KEEPTTL" if options.expires.is_none() => options.keep_expiry = true,
                word if options.expires.is_none() && !options.keep_expiry => {
                    let unit = Unit::of_option(word).ok_or(Failure::Syntax)?;
                    let [number, rest @ ..] = words else { return Err(Failure::Syntax) };
                    words = rest;
                    options.expires = Some(positive_deadline("set", number, unit, held)?);
                }
                _ => return Err(Failure::Syntax),
            }
        }
        Ok(options)
    }

    /// Whether the value was set.
    fn apply(&self, key: &[u8], value: &[u8], held: &mut Held<'_>) -> bool {
        let there = held.value(key).is_some();
        if self.only_if.is_some_and(|wanted| wanted != there) {
            return false;
        }
        let expires = if self.keep_expiry { held.expiry(key) } else { self.expires };
        held.put_text(key, value);
        if expires.is_some() {
            held.set_expiry(key, expires);
        }
        true
    }
}

fn positive_deadline(
    command: &'static str,
    number: &[u8],
    unit: Unit,
    held: &Held<'_>,
) -> Result<Instant, Failure> {
    match integer(number)? {
        ..=0 => Err(Failure::ExpireTime(command)),
        number => deadline(command, number, unit, held),
    }
}

pub(crate) fn setnx(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let options = SetOptions { only_if: Some(false), ..SetOptions::default() };
    reply.integer(i64::from(options.apply(args[1], args[2], held)));
    Ok(())
}

pub(crate) fn setex(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    set_for(args, "setex", Unit::Seconds, held, reply)
}

pub(crate) fn psetex(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    set_for(args, "psetex", Unit::Millis, held, reply)
}

fn set_for(
    args: &[&[u8]],
    command: &'static str,
    unit: Unit,
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let expires = positive_deadline(command, args[2], unit, held)?;
    held.put_text(args[1], args[3]);
    held.set_expiry(args[1], Some(expires));
    reply.ok();
    Ok(())
}

pub(crate) fn getset(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let old = held.read::<Text>(args[1])?;
    reply.bulk_or_null(old.map(Vec::as_slice));
    held.put_text(args[1], args[2]);
    Ok(())
}

pub(crate) fn getdel(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let old = held.read::<Text>(args[1])?;
    reply.bulk_or_null(old.map(Vec::as_slice));
    held.remove(args[1]);
    Ok(())
}

pub(crate) fn append(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let length = held.read::<Text>(args[1])?.map_or(0, Vec::len);
    if length + args[2].len() > MAX_TEXT {
        return Err(Failure::TooLong);
    }
    let text = held.modify_or_new::<Text>(args[1])?;
    text.extend_from_slice(args[2]);
    reply.count(text.len());
    Ok(())
}

pub(crate) fn strlen(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(held.read::<Text>(args[1])?.map_or(0, Vec::len));
    Ok(())
}

pub(crate) fn getrange(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let text = held.read::<Text>(args[1])?.map_or(&[][..], Vec::as_slice);
    reply.bulk(&text[range(start, stop, text.len())]);
    Ok(())
}

pub(crate) fn setrange(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let offset = super::number::count(args[2])?;
    let end = offset.saturating_add(args[3].len());
    if end > MAX_TEXT {
        return Err(Failure::TooLong);
    }
    if args[3].is_empty() {
        return strlen(args, held, reply);
    }
    let text = held.modify_or_new::<Text>(args[1])?;
    if text.len() < end {
        text.resize(end, 0);
    }
    text[offset..end].copy_from_slice(args[3]);
    reply.count(text.len());
    Ok(())
}

pub(crate) fn incr(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    add(args[1], 1, held, reply)
}

pub(crate) fn decr(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    add(args[1], -1, held, reply)
}

pub(crate) fn incrby(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    add(args[1], integer(args[2])?, held, reply)
}

pub(crate) fn decrby(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let difference = integer(args[2])?.checked_neg().ok_or(Failure::Overflow)?;
    add(args[1], difference, held, reply)
}

fn add(
    key: &[u8],
    difference: i64,
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let Some(text) = held.modify::<Text>(key)? else {
        held.put_text(key, itoa::Buffer::new().format(difference).as_bytes());
        reply.integer(difference);
        return Ok(());
    };
    let sum = integer(text)?.checked_add(difference).ok_or(Failure::Overflow)?;
    text.clear();
    text.extend_from_slice(itoa::Buffer::new().format(sum).as_bytes());
    reply.integer(sum);
    Ok(())
}

pub(crate) fn incrbyfloat(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let difference = float(args[2])?;
    let old = held.read::<Text>(args[1])?.map_or(Ok(0.0), |text| float(text))?;
    let sum = old + difference;
    if !sum.is_finite() {
        return Err(Failure::NotFinite);
    }
    let sum = sum.to_string();
    let text = held.modify_or_new::<Text>(args[1])?;
    sum.as_bytes().clone_into(text);
    reply.bulk(sum.as_bytes());
    Ok(())
}

pub(crate) fn mget(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.array(args.len() - 1);
    for key in &args[1..] {
        // What is no text counts as nothing here.
        let text = held.read::<Text>(key).ok().flatten();
        reply.bulk_or_null(text.map(Vec::as_slice));
    }
    Ok(())
}

pub(crate) fn mset(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    put_pairs("mset", args, held)?;
    reply.ok();
    Ok(())
}

pub(crate) fn msetnx(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let any = args[1..].iter().step_by(2).any(|key| held.value(key).is_some());
    if !any {
        put_pairs("msetnx", args, held)?;
    }
    reply.integer(i64::from(!any));
    Ok(())
}

fn put_pairs(name: &str, args: &[&[u8]], held: &mut Held<'_>) -> Result<(), Failure> {
    if args.len().is_multiple_of(2) {
        return Err(Failure::Arity(name.to_owned()));
    }
    for pair in args[1..].chunks_exact(2) {
        held.put_text(pair[0], pair[1]);
    }
    Ok(())
}

/// The longest text that commands make: as long as one can be sent.
const MAX_TEXT: usize = 8 * 1024 * 1024;
