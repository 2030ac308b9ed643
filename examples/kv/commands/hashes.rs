//! Hashes: fields with values.

use super::{Call, Outcome};
use crate::store::Hash;

pub(super) fn hset(call: &mut Call<'_>) -> Outcome {
    let (pairs, rest) = call.args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(call.command.wrong_arity());
    }
    let hash = call.held.at(call.key()).modify_or_new::<Hash>()?;
    let set = |pair: &&[&[u8]; 2]| hash.insert(pair[0].into(), pair[1].into()).is_none();
    call.reply.count(pairs.iter().filter(set).count());
    call.held.at(call.key()).modified(false);
    Ok(())
}

pub(super) fn hget(call: &mut Call<'_>) -> Outcome {
    let hash = call.held.at(call.key()).read::<Hash>()?;
    call.reply.bulk_or_null(hash.and_then(|hash| hash.get(call.args[2])).map(|value| &**value));
    Ok(())
}

pub(super) fn hgetall(call: &mut Call<'_>) -> Outcome {
    let hash = call.held.at(call.key()).read::<Hash>()?;
    call.reply.map(hash.map_or(0, Hash::len));
    for (field, value) in hash.into_iter().flatten() {
        call.reply.bulk(field);
        call.reply.bulk(value);
    }
    Ok(())
}

/// A short hash keeps the order in which its fields were added, as in Redis.
pub(super) fn remove(hash: &mut Hash, field: &[u8]) -> bool {
    match hash.len() <= SHORT {
        true => hash.shift_remove(field).is_some(),
        false => hash.swap_remove(field).is_some(),
    }
}

/// `hash-max-listpack-entries` of Redis.
const SHORT: usize = 128;
