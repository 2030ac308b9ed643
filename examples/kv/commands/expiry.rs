//! When keys expire.

use super::{Call, Failure, Outcome, flags};

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
    pub(super) fn time(&self, place: usize, unit: Unit) -> Result<i64, Failure> {
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
    let ([nx, xx, gt, lt], words) = flags(&call.args[3..], [b"nx", b"xx", b"gt", b"lt"]);
    if let Some(word) = call.args.get(3 + words) {
        return Err(Failure::quoting("ERR Unsupported option ", word, ""));
    }
    if nx && (xx || gt || lt) || gt && lt {
        let options = if nx { "NX and XX, GT or LT" } else { "GT and LT" };
        let rest = b" options at the same time are not compatible";
        return Err(Failure::quoting(&format!("ERR {options}"), rest, ""));
    }
    let (key, expires) = (call.key(), call.time(2, unit)?);
    let old = call.held.at(key).expiry();
    // A key without an expiry counts as expiring later than any other.
    let done = call.held.at(key).exists()
        && !(nx && old.is_some() || xx && old.is_none())
        && (!gt || old.is_some_and(|old| expires > old))
        && (!lt || old.is_none_or(|old| expires < old));
    if done && expires <= call.held.now {
        call.held.at(key).take();
    } else if done {
        call.held.at(key).set_expiry(Some(expires));
    }
    call.reply.flag(done);
    Ok(())
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
    ((millis as u64 + 500) / 1000) as i64
}

pub(super) fn persist(call: &mut Call<'_>) -> Outcome {
    let expires = call.held.at(call.key()).expiry().is_some();
    if expires {
        call.held.at(call.key()).set_expiry(None);
    }
    call.reply.flag(expires);
    Ok(())
}
