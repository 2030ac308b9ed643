//! Keys, whatever is at them, and when they expire.

use std::time::Duration;

use heist::time::Instant;

use super::Failure;
use super::number::integer;
use super::scan::glob;
use crate::resp::Reply;
use crate::store::Held;

pub(crate) fn dbsize(
    _: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(held.len());
    Ok(())
}

pub(crate) fn flush(
    _: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    held.clear();
    reply.ok();
    Ok(())
}

/// Everybody waits meanwhile, as with Redis: SCAN is for servers that are in use.
pub(crate) fn keys(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let found: Vec<&[u8]> =
        held.keys().map(|(key, _)| key).filter(|key| glob(args[1], key)).collect();
    reply.array(found.len());
    found.into_iter().for_each(|key| reply.bulk(key));
    Ok(())
}

pub(crate) fn random_key(
    _: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let skip = fastrand::usize(..held.len().max(1));
    // If it lands behind one that has expired, the first will do.
    let key = held.keys().nth(skip).or_else(|| held.keys().next()).map(|(key, _)| key);
    reply.bulk_or_null(key);
    Ok(())
}

pub(crate) fn del(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(args[1..].iter().filter(|key| held.remove(key).is_some()).count());
    Ok(())
}

pub(crate) fn exists(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(args[1..].iter().filter(|key| held.value(key).is_some()).count());
    Ok(())
}

pub(crate) fn type_of(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.simple(held.value(args[1]).map_or("none", |value| value.type_name()));
    Ok(())
}

pub(crate) fn rename(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    if !held.rename(args[1], args[2]) {
        return Err(Failure::NoSuchKey);
    }
    reply.ok();
    Ok(())
}

pub(crate) fn renamenx(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    if held.value(args[1]).is_none() {
        return Err(Failure::NoSuchKey);
    }
    let free = held.value(args[2]).is_none();
    if free {
        held.rename(args[1], args[2]);
    }
    reply.integer(i64::from(free));
    Ok(())
}

/// What the number of an expiry counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Seconds,
    Millis,
    /// Since 1970.
    UnixSeconds,
    UnixMillis,
}

impl Unit {
    pub(crate) fn of_option(word: &[u8]) -> Option<Unit> {
        match word {
            b"EX" => Some(Unit::Seconds),
            b"PX" => Some(Unit::Millis),
            b"EXAT" => Some(Unit::UnixSeconds),
            b"PXAT" => Some(Unit::UnixMillis),
            _ => None,
        }
    }
}

/// The time that `number` means, for `command`. What lies in the past is now.
pub(crate) fn deadline(
    command: &'static str,
    number: i64,
    unit: Unit,
    held: &Held<'_>,
) -> Result<Instant, Failure> {
    let millis = match unit {
        Unit::Seconds | Unit::UnixSeconds => number.checked_mul(1000),
        Unit::Millis | Unit::UnixMillis => Some(number),
    };
    let now = held.now();
    let millis = match (millis, unit) {
        (Some(millis), Unit::Seconds | Unit::Millis) => millis,
        (Some(millis), _) => millis.saturating_sub(held.unix_millis(now) as i64),
        (None, _) => return Err(Failure::ExpireTime(command)),
    };
    if millis > MAX_MILLIS {
        return Err(Failure::ExpireTime(command));
    }
    Ok(now + Duration::from_millis(millis.max(0) as u64))
}

pub(crate) fn expire(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    expire_in("expire", args, Unit::Seconds, held, reply)
}

pub(crate) fn pexpire(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    expire_in("pexpire", args, Unit::Millis, held, reply)
}

pub(crate) fn expireat(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    expire_in("expireat", args, Unit::UnixSeconds, held, reply)
}

pub(crate) fn pexpireat(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    expire_in("pexpireat", args, Unit::UnixMillis, held, reply)
}

/// `EXPIRE key number [NX | XX | GT | LT]`
fn expire_in(
    command: &'static str,
    args: &[&[u8]],
    unit: Unit,
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let expires = deadline(command, integer(args[2])?, unit, held)?;
    let old = held.expiry(args[1]);
    // A key that never expires counts as expiring later than any other.
    let wanted = match args.get(3).map(|word| word.to_ascii_uppercase()).as_deref() {
        None => true,
        Some(b"NX") => old.is_none(),
        Some(b"XX") => old.is_some(),
        Some(b"GT") => old.is_some_and(|old| expires > old),
        Some(b"LT") => old.is_none_or(|old| expires < old),
        Some(_) => return Err(Failure::Syntax),
    };
    let done = wanted && held.set_expiry(args[1], Some(expires));
    reply.integer(i64::from(done));
    Ok(())
}

pub(crate) fn ttl(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.integer(match remaining(args[1], held) {
        Remaining::NoKey => -2,
        Remaining::ForEver => -1,
        Remaining::Time(time) => (time.as_millis() as i64 + 500) / 1000,
    });
    Ok(())
}

pub(crate) fn pttl(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.integer(match remaining(args[1], held) {
        Remaining::NoKey => -2,
        Remaining::ForEver => -1,
        Remaining::Time(time) => time.as_millis() as i64,
    });
    Ok(())
}

enum Remaining {
    NoKey,
    ForEver,
    Time(Duration),
}

fn remaining(key: &[u8], held: &mut Held<'_>) -> Remaining {
    match (held.value(key).is_some(), held.expiry(key)) {
        (false, _) => Remaining::NoKey,
        (true, None) => Remaining::ForEver,
        (true, Some(expires)) => Remaining::Time(expires - held.now()),
    }
}

pub(crate) fn persist(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let done = held.expiry(args[1]).is_some() && held.set_expiry(args[1], None);
    reply.integer(i64::from(done));
    Ok(())
}

/// A hundred years: beyond that an expiry is taken for a mistake.
const MAX_MILLIS: i64 = 100 * 366 * 24 * 3600 * 1000;
