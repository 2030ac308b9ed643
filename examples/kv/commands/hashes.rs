//! Hashes: fields with values under one key.

use super::Failure;
use super::number::integer;
use crate::resp::Reply;
use crate::store::{Bytes, Hash, Held};

pub(crate) fn hset(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let added = set_fields("hset", args, held)?;
    reply.count(added);
    Ok(())
}

pub(crate) fn hmset(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    set_fields("hmset", args, held)?;
    reply.ok();
    Ok(())
}

/// How many of the fields are new.
fn set_fields(name: &str, args: &[&[u8]], held: &mut Held<'_>) -> Result<usize, Failure> {
    if !args.len().is_multiple_of(2) {
        return Err(Failure::Arity(name.to_owned()));
    }
    let hash = held.modify_or_new::<Hash>(args[1])?;
    let before = hash.len();
    for pair in args[2..].chunks_exact(2) {
        put(hash, pair[0], pair[1].into());
    }
    Ok(hash.len() - before)
}

fn put(hash: &mut Hash, field: &[u8], value: Bytes) {
    match hash.get_mut(field) {
        Some(old) => *old = value,
        None => drop(hash.insert(field.into(), value)),
    }
}

pub(crate) fn hsetnx(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let hash = held.modify_or_new::<Hash>(args[1])?;
    let free = !hash.contains_key(args[2]);
    if free {
        put(hash, args[2], args[3].into());
    }
    reply.integer(i64::from(free));
    Ok(())
}

pub(crate) fn hget(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let value = held.read::<Hash>(args[1])?.and_then(|hash| hash.get(args[2]));
    reply.bulk_or_null(value.map(|value| &**value));
    Ok(())
}

pub(crate) fn hmget(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let hash = held.read::<Hash>(args[1])?;
    reply.array(args.len() - 2);
    for field in &args[2..] {
        let value = hash.and_then(|hash| hash.get(*field));
        reply.bulk_or_null(value.map(|value| &**value));
    }
    Ok(())
}

pub(crate) fn hgetall(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let hash = held.read::<Hash>(args[1])?;
    reply.map(hash.map_or(0, |hash| hash.len()));
    for (field, value) in hash.into_iter().flatten() {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

pub(crate) fn hkeys(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let hash = held.read::<Hash>(args[1])?;
    reply.array(hash.map_or(0, |hash| hash.len()));
    hash.into_iter().flatten().for_each(|(field, _)| reply.bulk(field));
    Ok(())
}

pub(crate) fn hvals(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let hash = held.read::<Hash>(args[1])?;
    reply.array(hash.map_or(0, |hash| hash.len()));
    hash.into_iter().flatten().for_each(|(_, value)| reply.bulk(value));
    Ok(())
}

pub(crate) fn hlen(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(held.read::<Hash>(args[1])?.map_or(0, |hash| hash.len()));
    Ok(())
}

pub(crate) fn hexists(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let there = held.read::<Hash>(args[1])?.is_some_and(|hash| hash.contains_key(args[2]));
    reply.integer(i64::from(there));
    Ok(())
}

pub(crate) fn hdel(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let mut removed = 0;
    if let Some(hash) = held.modify::<Hash>(args[1])? {
        removed = args[2..].iter().filter(|field| hash.swap_remove(**field).is_some()).count();
    }
    held.remove_if_empty(args[1]);
    reply.count(removed);
    Ok(())
}

pub(crate) fn hincrby(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let difference = integer(args[3])?;
    let old = match held.read::<Hash>(args[1])?.and_then(|hash| hash.get(args[2])) {
        Some(value) => integer(value).map_err(|_| Failure::HashNotInteger)?,
        None => 0,
    };
    let sum = old.checked_add(difference).ok_or(Failure::Overflow)?;
    let hash = held.modify_or_new::<Hash>(args[1])?;
    put(hash, args[2], itoa::Buffer::new().format(sum).as_bytes().into());
    reply.integer(sum);
    Ok(())
}
