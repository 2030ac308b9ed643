//! When keys expire.

use super::{Call, Failure, Outcome};

/// What the number of an expiry counts: a unit, from now or from 1970.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    UnixSeconds,
    UnixMillis,
}

impl Call<'_> {
    /// The time that the number at `place` means, in milliseconds since 1970.
    pub(super) fn time(&mut self, place: usize, unit: Unit) -> Result<i64, Failure> {
        let number = self.integer(place)?;
        let millis = match unit {
            Unit::Seconds | Unit::UnixSeconds => number.checked_mul(1000),
            Unit::Millis | Unit::UnixMillis => Some(number),
        };
        let base = match unit {
            Unit::Seconds | Unit::Millis => self.held.now,
            Unit::UnixSeconds | Unit::UnixMillis => 0,
        };
        millis.and_then(|millis| millis.checked_add(base)).ok_or_else(|| self.invalid_expiry())
    }

    pub(super) fn invalid_expiry(&self) -> Failure {
        let name = self.command.name.as_bytes();
        Failure::quoting("ERR invalid expire time in '", name, "' command")
    }
}

pub(super) fn expire(call: &mut Call<'_>, unit: Unit) -> Outcome {
    let conditions = Conditions::parse(&call.args[3..])?;
    let (key, expires) = (call.key(), call.time(2, unit)?);
    let old = call.held.at(key).expiry();
    let done = call.held.at(key).exists() && conditions.allow(old, expires);
    if done && expires <= call.held.now {
        call.held.at(key).take();
    } else if done {
        call.held.at(key).set_expiry(Some(expires));
    }
    call.reply.flag(done);
    Ok(())
}

/// The options of EXPIRE.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(words: &[&[u8]]) -> Result<Conditions, Failure> {
        let mut given = Conditions::default();
        for word in words {
            match &word.to_ascii_uppercase()[..] {
                b"NX" => given.nx = true,
                b"XX" => given.xx = true,
                b"GT" => given.gt = true,
                b"LT" => given.lt = true,
                _ => return Err(Failure::quoting("ERR Unsupported option ", word, "")),
            }
        }
        if given.nx && (given.xx || given.gt || given.lt) {
            return Err(NX_ALONE);
        }
        if given.gt && given.lt { Err(GT_OR_LT) } else { Ok(given) }
    }

    /// A key without an expiry counts as expiring later than any other.
    fn allow(&self, old: Option<i64>, new: i64) -> bool {
        (!self.nx || old.is_none())
            && (!self.xx || old.is_some())
            && (!self.gt || old.is_some_and(|old| new > old))
            && (!self.lt || old.is_none_or(|old| new < old))
    }
}

/// Replies with the expiry of the key, of which `figure` makes a number with the help of the time;
/// -1 if the key has none, -2 if there is no such key.
pub(super) fn reply(call: &mut Call<'_>, figure: fn(i64, i64) -> i64) -> Outcome {
    let (now, key) = (call.held.now, call.key());
    let reply = match call.held.at(key).expiry() {
        Some(expires) => figure(expires, now),
        None if call.held.at(key).exists() => -1,
        None => -2,
    };
    call.reply.integer(reply);
    Ok(())
}

/// Seconds, rounded.
pub(super) fn seconds(millis: i64) -> i64 {
    millis.saturating_add(500) / 1000
}

pub(super) fn persist(call: &mut Call<'_>) -> Outcome {
    let expires = call.held.at(call.key()).expiry().is_some();
    if expires {
        call.held.at(call.key()).set_expiry(None);
    }
    call.reply.flag(expires);
    Ok(())
}

const NX_ALONE: Failure =
    Failure::new("ERR NX and XX, GT or LT options at the same time are not compatible");

const GT_OR_LT: Failure = Failure::new("ERR GT and LT options at the same time are not compatible");
