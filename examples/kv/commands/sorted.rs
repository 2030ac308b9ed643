//! Sorted sets.

use super::Failure;
use super::number::{count, float, integer, range};
use crate::resp::Reply;
use crate::store::{Held, Sorted};

/// `ZADD key [NX | XX] [CH] score member [score member …]`
pub(crate) fn zadd(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let (mut only_if, mut count_changes) = (None, false);
    let mut words = &args[2..];
    while let [word, rest @ ..] = words {
        match &word.to_ascii_uppercase()[..] {
            b"NX" if only_if.is_none() => only_if = Some(false),
            b"XX" if only_if.is_none() => only_if = Some(true),
            b"CH" => count_changes = true,
            _ => break,
        }
        words = rest;
    }
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err(Failure::Syntax);
    }
    // Every score has to be one before any is set.
    words.iter().step_by(2).try_for_each(|score| float(score).map(drop))?;
    let sorted = held.modify_or_new::<Sorted>(args[1])?;
    let (mut added, mut changed) = (0, 0);
    for pair in words.chunks_exact(2) {
        let (score, member) = (float(pair[0])?, pair[1]);
        if only_if.is_some_and(|wanted| wanted != sorted.score(member).is_some()) {
            continue;
        }
        match sorted.insert(member, score) {
            None => added += 1,
            Some(old) => changed += usize::from(old != score),
        }
    }
    held.remove_if_empty(args[1]);
    reply.count(if count_changes { added + changed } else { added });
    Ok(())
}

pub(crate) fn zincrby(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let difference = float(args[2])?;
    let old = held.read::<Sorted>(args[1])?.and_then(|sorted| sorted.score(args[3]));
    let score = old.unwrap_or(0.0) + difference;
    if score.is_nan() {
        return Err(Failure::Other("ERR resulting score is not a number (NaN)"));
    }
    held.modify_or_new::<Sorted>(args[1])?.insert(args[3], score);
    reply.double(score);
    Ok(())
}

pub(crate) fn zrem(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let mut removed = 0;
    if let Some(sorted) = held.modify::<Sorted>(args[1])? {
        removed = args[2..].iter().filter(|member| sorted.remove(member)).count();
    }
    held.remove_if_empty(args[1]);
    reply.count(removed);
    Ok(())
}

pub(crate) fn zscore(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    match held.read::<Sorted>(args[1])?.and_then(|sorted| sorted.score(args[2])) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}

pub(crate) fn zcard(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(held.read::<Sorted>(args[1])?.map_or(0, Sorted::len));
    Ok(())
}

/// Counts from the front: the order is a plain tree, which does not know how many are on its left.
pub(crate) fn zrank(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let sorted = held.read::<Sorted>(args[1])?;
    let rank = sorted.and_then(|sorted| sorted.iter().position(|(member, _)| member == args[2]));
    match rank {
        Some(rank) => reply.count(rank),
        None => reply.null(),
    }
    Ok(())
}

pub(crate) fn zrange(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    list(args, held, reply, false)
}

pub(crate) fn zrevrange(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    list(args, held, reply, true)
}

/// `ZRANGE key start stop [REV] [WITHSCORES]`
fn list(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
    mut reverse: bool,
) -> Result<(), Failure> {
    let mut with_scores = false;
    for word in &args[4..] {
        match &word.to_ascii_uppercase()[..] {
            b"REV" => reverse = true,
            b"WITHSCORES" => with_scores = true,
            _ => return Err(Failure::Syntax),
        }
    }
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let Some(sorted) = held.read::<Sorted>(args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let range = range(start, stop, sorted.len());
    let (skip, take) = (range.start, range.len());
    match reverse {
        true => write(sorted.iter().rev().skip(skip).take(take), take, with_scores, reply),
        false => write(sorted.iter().skip(skip).take(take), take, with_scores, reply),
    }
    Ok(())
}

fn write<'s>(
    members: impl Iterator<Item = (&'s [u8], f64)>,
    count: usize,
    with_scores: bool,
    reply: &mut Reply<'_>,
) {
    if with_scores {
        begin_scored(count, reply)
    } else {
        reply.array(count)
    }
    for (member, score) in members {
        match with_scores {
            true => write_scored(member, score, reply),
            false => reply.bulk(member),
        }
    }
}

fn begin_scored(count: usize, reply: &mut Reply<'_>) {
    reply.array(if reply.nests_pairs() { count } else { count * 2 });
}

fn write_scored(member: &[u8], score: f64, reply: &mut Reply<'_>) {
    if reply.nests_pairs() {
        reply.array(2);
    }
    reply.bulk(member);
    reply.double(score);
}

pub(crate) fn zpopmin(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    pop(args, held, reply, false)
}

pub(crate) fn zpopmax(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    pop(args, held, reply, true)
}

/// `ZPOPMIN key [count]`. Without a count the pair is the answer, not an array of one pair.
fn pop(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
    highest: bool,
) -> Result<(), Failure> {
    let wanted = args.get(2).map(|text| count(text)).transpose()?;
    let Some(sorted) = held.modify::<Sorted>(args[1])? else {
        reply.array(0);
        return Ok(());
    };
    match wanted {
        Some(wanted) => {
            let wanted = wanted.min(sorted.len());
            begin_scored(wanted, reply);
            for (member, score) in std::iter::from_fn(|| sorted.pop(highest)).take(wanted) {
                write_scored(&member, score, reply);
            }
        }
        None => {
            let popped = sorted.pop(highest);
            reply.array(if popped.is_some() { 2 } else { 0 });
            if let Some((member, score)) = popped {
                reply.bulk(&member);
                reply.double(score);
            }
        }
    }
    held.remove_if_empty(args[1]);
    Ok(())
}
