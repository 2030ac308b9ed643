//! Sets.

use super::Failure;
use super::number::count;
use crate::resp::Reply;
use crate::store::{Bytes, Held, Set};

pub(crate) fn sadd(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let set = held.modify_or_new::<Set>(args[1])?;
    let before = set.len();
    for member in &args[2..] {
        if !set.contains(*member) {
            set.insert((*member).into());
        }
    }
    reply.count(set.len() - before);
    Ok(())
}

pub(crate) fn srem(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let mut removed = 0;
    if let Some(set) = held.modify::<Set>(args[1])? {
        removed = args[2..].iter().filter(|member| set.swap_remove(**member)).count();
    }
    held.remove_if_empty(args[1]);
    reply.count(removed);
    Ok(())
}

pub(crate) fn sismember(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let there = held.read::<Set>(args[1])?.is_some_and(|set| set.contains(args[2]));
    reply.integer(i64::from(there));
    Ok(())
}

pub(crate) fn scard(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(held.read::<Set>(args[1])?.map_or(0, |set| set.len()));
    Ok(())
}

pub(crate) fn smembers(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let set = held.read::<Set>(args[1])?;
    reply.set(set.map_or(0, |set| set.len()));
    set.into_iter().flatten().for_each(|member| reply.bulk(member));
    Ok(())
}

/// `SPOP key [count]`: takes random members.
pub(crate) fn spop(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let wanted = args.get(2).map(|text| count(text)).transpose()?;
    match (held.modify::<Set>(args[1])?, wanted) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.set(0),
        (Some(set), None) => reply.bulk_or_null(take_any(set).as_deref()),
        (Some(set), Some(wanted)) => {
            let wanted = wanted.min(set.len());
            reply.set(wanted);
            for member in std::iter::from_fn(|| take_any(set)).take(wanted) {
                reply.bulk(&member);
            }
        }
    }
    held.remove_if_empty(args[1]);
    Ok(())
}

fn take_any(set: &mut Set) -> Option<Bytes> {
    let place = fastrand::usize(..set.len().max(1));
    set.swap_remove_index(place)
}

pub(crate) fn srandmember(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let set = held.read::<Set>(args[1])?;
    let member = set.and_then(|set| set.get_index(fastrand::usize(..set.len().max(1))));
    reply.bulk_or_null(member.map(|member| &**member));
    Ok(())
}

pub(crate) fn sinter(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    combine(args, held, reply, |all, other| all.retain(|member| other.contains(member)))
}

pub(crate) fn sunion(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    combine(args, held, reply, |all, other| all.extend(other.iter().cloned()))
}

pub(crate) fn sdiff(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    combine(args, held, reply, |all, other| all.retain(|member| !other.contains(member)))
}

/// Begins with the first set and does `with` to it for each of the others.
fn combine(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
    with: fn(&mut Set, &Set),
) -> Result<(), Failure> {
    let nothing = Set::new();
    let mut all = held.read::<Set>(args[1])?.cloned().unwrap_or_default();
    for key in &args[2..] {
        with(&mut all, held.read::<Set>(key)?.unwrap_or(&nothing));
    }
    reply.set(all.len());
    all.iter().for_each(|member| reply.bulk(member));
    Ok(())
}
