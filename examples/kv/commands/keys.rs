//! Keys, whatever their values are.

use super::{Call, Failure, Outcome, glob};
use crate::store::Kind;

pub(super) fn dbsize(call: &mut Call<'_>) -> Outcome {
    call.reply.count(call.held.len());
    Ok(())
}

/// ASYNC and SYNC make no difference: memory is freed at once.
pub(super) fn flush(call: &mut Call<'_>) -> Outcome {
    match call.args {
        [_] => {}
        [_, _] if call.is(1, "ASYNC") || call.is(1, "SYNC") => {}
        _ => return Err(Failure::SYNTAX),
    }
    call.held.clear();
    call.reply.ok();
    Ok(())
}

/// All connections wait meanwhile, as with Redis.
pub(super) fn keys(call: &mut Call<'_>) -> Outcome {
    let pattern = call.args[1];
    let matches = |key: &&[u8]| pattern == b"*" || glob::matches(pattern, key);
    let found: Vec<&[u8]> = call.held.keys().filter(matches).collect();
    call.reply.array(found.len());
    found.into_iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

pub(super) fn random_key(call: &mut Call<'_>) -> Outcome {
    // Another walk over the keys, in place of an index over all shards.
    let place = fastrand::usize(..call.held.len().max(1));
    let key = call.held.keys().nth(place).or_else(|| call.held.keys().next());
    call.reply.bulk_or_null(key);
    Ok(())
}

pub(super) fn del(call: &mut Call<'_>) -> Outcome {
    let held = &mut call.held;
    call.reply.count(call.args[1..].iter().filter(|key| held.at(key).take().is_some()).count());
    Ok(())
}

pub(super) fn exists(call: &mut Call<'_>) -> Outcome {
    let held = &mut call.held;
    call.reply.count(call.args[1..].iter().filter(|key| held.at(key).exists()).count());
    Ok(())
}

/// The length of a string, or the number of elements of a collection.
pub(super) fn length<K: Kind>(call: &mut Call<'_>) -> Outcome {
    call.reply.count(call.held.at(call.key()).read::<K>()?.map_or(0, K::length));
    Ok(())
}

pub(super) fn type_of(call: &mut Call<'_>) -> Outcome {
    let value = call.held.at(call.key()).value();
    call.reply.simple(value.map_or("none", |value| value.type_name()));
    Ok(())
}

/// RENAME, and RENAMENX if the new name has to be free.
pub(super) fn rename(call: &mut Call<'_>, if_free: bool) -> Outcome {
    let (from, to) = (call.key(), call.args[2]);
    if !call.held.at(from).exists() {
        return Err(Failure::NO_SUCH_KEY);
    }
    let done = !(if_free && call.held.at(to).exists());
    if done && from != to {
        let entry = call.held.at(from).take().expect("the key was there");
        call.held.at(to).put(entry);
    }
    if if_free {
        call.reply.flag(done)
    } else {
        call.reply.ok()
    }
    Ok(())
}

/// SREM, HDEL, ZREM: `remove` takes one member, and says whether it was there.
pub(super) fn remove<K: Kind>(call: &mut Call<'_>, remove: fn(&mut K, &[u8]) -> bool) -> Outcome {
    let (mut removed, mut is_empty) = (0, false);
    if let Some(members) = call.held.at(call.key()).modify::<K>()? {
        removed = call.args[2..].iter().filter(|member| remove(members, member)).count();
        is_empty = members.length() == 0;
    }
    if removed > 0 {
        call.held.at(call.key()).modified(is_empty);
    }
    call.reply.count(removed);
    Ok(())
}
