//! Strings, and the numbers in them.

use super::expiry::Unit;
use super::float::LongDouble;
use super::{Call, Failure, Outcome, before_nul};
use crate::resp::number;
use crate::store::Text;

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    call.reply.bulk_or_null(call.held.at(call.key()).read::<Text>()?.map(Vec::as_slice));
    Ok(())
}

/// The options of SET.
#[derive(Default)]
struct Options {
    nx: bool,
    xx: bool,
    get: bool,
    keep_ttl: bool,
    /// The unit, and the place of the number. The same unit may come again; the last one counts.
    expiry: Option<(Unit, usize)>,
}

impl Options {
    fn parse(args: &[&[u8]]) -> Result<Options, Failure> {
        let (mut given, mut place) = (Options::default(), 3);
        while let Some(word) = args.get(place) {
            match &before_nul(word).to_ascii_uppercase()[..] {
                b"NX" if !given.xx => given.nx = true,
                b"XX" if !given.nx => given.xx = true,
                b"GET" => given.get = true,
                b"KEEPTTL" if given.expiry.is_none() => given.keep_ttl = true,
                word => {
                    let unit = match word {
                        b"EX" => Unit::Seconds,
                        b"PX" => Unit::Millis,
                        b"EXAT" => Unit::UnixSeconds,
                        b"PXAT" => Unit::UnixMillis,
                        _ => return Err(Failure::SYNTAX),
                    };
                    place += 1;
                    let other = given.expiry.is_some_and(|(other, _)| other != unit);
                    if other || given.keep_ttl || place == args.len() {
                        return Err(Failure::SYNTAX);
                    }
                    given.expiry = Some((unit, place));
                }
            }
            place += 1;
        }
        Ok(given)
    }
}

pub(super) fn set(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.key(), call.args[2]);
    if call.args.len() == 3 {
        call.held.at(key).put_text(value);
        call.reply.ok();
        return Ok(());
    }
    let options = Options::parse(call.args)?;
    let mut expires = None;
    if let Some((unit, place)) = options.expiry {
        if call.integer(place)? <= 0 {
            return Err(call.invalid_expiry());
        }
        expires = Some(call.time(place, unit)?);
    }
    if options.get {
        get(call)?;
    }
    let found = call.held.at(key).exists();
    let done = !(options.nx && found || options.xx && !found);
    if done {
        let kept = call.held.at(key).expiry().filter(|_| options.keep_ttl);
        call.held.at(key).put_text(value);
        if expires.or(kept).is_some() {
            call.held.at(key).set_expiry(expires.or(kept));
        }
    }
    match (options.get, done) {
        (true, _) => {}
        (false, true) => call.reply.ok(),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

pub(super) fn setnx(call: &mut Call<'_>) -> Outcome {
    let free = !call.held.at(call.key()).exists();
    if free {
        call.held.at(call.key()).put_text(call.args[2]);
    }
    call.reply.flag(free);
    Ok(())
}

pub(super) fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let text = call.held.at(call.key()).read::<Text>()?.map_or(&[][..], Vec::as_slice);
    let length = text.len() as i64;
    let from_front = |index: i64| if index < 0 { (index + length).max(0) } else { index };
    // Both ends before the front name the first byte, unless they are in the wrong order.
    let wrong_order = start < 0 && end < 0 && start > end;
    let (start, end) = (from_front(start), from_front(end).min(length - 1));
    let part = if wrong_order || start > end { 0..0 } else { start as usize..end as usize + 1 };
    call.reply.bulk(&text[part]);
    Ok(())
}

pub(super) fn decrby(call: &mut Call<'_>) -> Outcome {
    let difference = call.integer(2)?.checked_neg();
    add(call, difference.ok_or(Failure::new("ERR decrement would overflow"))?)
}

pub(super) fn add(call: &mut Call<'_>, difference: i64) -> Outcome {
    let value = match call.held.at(call.key()).read::<Text>()? {
        Some(text) => number(text).ok_or(Failure::NOT_INTEGER)?,
        None => 0,
    };
    let overflow = Failure::new("ERR increment or decrement would overflow");
    let sum = value.checked_add(difference).ok_or(overflow)?;
    replace(call, itoa::Buffer::new().format(sum).as_bytes())?;
    call.reply.integer(sum);
    Ok(())
}

pub(super) fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let value = match call.held.at(call.key()).read::<Text>()? {
        Some(text) => LongDouble::parse(text),
        None => Some(LongDouble::ZERO),
    };
    let operands = value.zip(LongDouble::parse(call.args[2]));
    let (value, difference) = operands.ok_or(Failure::NOT_FLOAT)?;
    let not_finite = Failure::new("ERR increment would produce NaN or Infinity");
    let sum = value.print_sum(difference).ok_or(not_finite)?;
    replace(call, sum.as_bytes())?;
    call.reply.bulk(sum.as_bytes());
    Ok(())
}

/// Replaces the text at the key; its expiry stays.
fn replace(call: &mut Call<'_>, new: &[u8]) -> Outcome {
    let text = call.held.at(call.key()).modify_or_new::<Text>()?;
    text.clear();
    text.extend_from_slice(new);
    call.held.at(call.key()).modified(false);
    Ok(())
}

pub(super) fn mget(call: &mut Call<'_>) -> Outcome {
    call.reply.array(call.args.len() - 1);
    for key in &call.args[1..] {
        // A value of another kind is no string, and no error.
        let text = call.held.at(key).read::<Text>().ok().flatten();
        call.reply.bulk_or_null(text.map(Vec::as_slice));
    }
    Ok(())
}

/// MSET, and MSETNX if all keys have to be free.
pub(super) fn mset(call: &mut Call<'_>, if_free: bool) -> Outcome {
    let (pairs, rest) = call.args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(call.command.wrong_arity());
    }
    let done = !(if_free && pairs.iter().any(|[key, _]| call.held.at(key).exists()));
    if done {
        pairs.iter().for_each(|[key, value]| call.held.at(key).put_text(value));
    }
    if if_free {
        call.reply.flag(done)
    } else {
        call.reply.ok()
    }
    Ok(())
}
