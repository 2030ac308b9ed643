//! Lists, with two ends.

use super::Failure;
use super::number::{count, integer, range};
use crate::resp::Reply;
use crate::store::{Bytes, Held, List};

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

impl End {
    fn parse(word: &[u8]) -> Result<End, Failure> {
        match &word.to_ascii_uppercase()[..] {
            b"LEFT" => Ok(End::Left),
            b"RIGHT" => Ok(End::Right),
            _ => Err(Failure::Syntax),
        }
    }

    fn push(self, list: &mut List, element: Bytes) {
        match self {
            End::Left => list.push_front(element),
            End::Right => list.push_back(element),
        }
    }

    fn pop(self, list: &mut List) -> Option<Bytes> {
        match self {
            End::Left => list.pop_front(),
            End::Right => list.pop_back(),
        }
    }
}

pub(crate) fn lpush(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    push(End::Left, held.modify_or_new(args[1])?, args, reply)
}

pub(crate) fn rpush(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    push(End::Right, held.modify_or_new(args[1])?, args, reply)
}

pub(crate) fn lpushx(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    push_if_there(End::Left, args, held, reply)
}

pub(crate) fn rpushx(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    push_if_there(End::Right, args, held, reply)
}

fn push_if_there(
    end: End,
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let Some(list) = held.modify(args[1])? else {
        reply.count(0);
        return Ok(());
    };
    push(end, list, args, reply)
}

fn push(end: End, list: &mut List, args: &[&[u8]], reply: &mut Reply<'_>) -> Result<(), Failure> {
    args[2..].iter().for_each(|element| end.push(list, (*element).into()));
    reply.count(list.len());
    Ok(())
}

pub(crate) fn lpop(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    pop(End::Left, args, held, reply)
}

pub(crate) fn rpop(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    pop(End::Right, args, held, reply)
}

/// `LPOP key [count]`; with a count, an array is the answer.
fn pop(
    end: End,
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let wanted = args.get(2).map(|text| count(text)).transpose()?;
    match (held.modify::<List>(args[1])?, wanted) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.null_array(),
        (Some(list), None) => reply.bulk_or_null(end.pop(list).as_deref()),
        (Some(list), Some(wanted)) => {
            let wanted = wanted.min(list.len());
            reply.array(wanted);
            for element in std::iter::from_fn(|| end.pop(list)).take(wanted) {
                reply.bulk(&element);
            }
        }
    }
    held.remove_if_empty(args[1]);
    Ok(())
}

pub(crate) fn llen(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    reply.count(held.read::<List>(args[1])?.map_or(0, List::len));
    Ok(())
}

pub(crate) fn lrange(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let Some(list) = held.read::<List>(args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let range = range(start, stop, list.len());
    reply.array(range.len());
    list.range(range).for_each(|element| reply.bulk(element));
    Ok(())
}

pub(crate) fn lindex(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let index = integer(args[2])?;
    let list = held.read::<List>(args[1])?;
    let element = list.and_then(|list| list.get(place(index, list.len())?));
    reply.bulk_or_null(element.map(|element| &**element));
    Ok(())
}

pub(crate) fn lset(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let index = integer(args[2])?;
    let list = held.modify::<List>(args[1])?.ok_or(Failure::NoSuchKey)?;
    let place = place(index, list.len()).ok_or(Failure::IndexOutOfRange)?;
    list[place] = args[3].into();
    reply.ok();
    Ok(())
}

/// The place of an index that counts from the end if negative.
fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i64 } else { index };
    usize::try_from(index).ok().filter(|place| *place < length)
}

/// `LREM key count element`: from the left, from the right if negative, all if 0.
pub(crate) fn lrem(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let wanted = integer(args[2])?;
    let most = if wanted == 0 { usize::MAX } else { wanted.unsigned_abs() as usize };
    let mut removed = 0;
    if let Some(list) = held.modify::<List>(args[1])? {
        let mut keep = |element: &Bytes| {
            let goes = removed < most && **element == *args[3];
            removed += usize::from(goes);
            !goes
        };
        if wanted >= 0 {
            list.retain(&mut keep);
        } else {
            *list = std::mem::take(list).into_iter().rev().filter(&mut keep).collect();
            list.make_contiguous().reverse();
        }
    }
    held.remove_if_empty(args[1]);
    reply.count(removed);
    Ok(())
}

pub(crate) fn ltrim(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    if let Some(list) = held.modify::<List>(args[1])? {
        let range = range(start, stop, list.len());
        list.truncate(range.end);
        list.drain(..range.start);
    }
    held.remove_if_empty(args[1]);
    reply.ok();
    Ok(())
}

pub(crate) fn rpoplpush(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    move_element(args, End::Right, End::Left, held, reply)
}

/// `LMOVE source destination LEFT|RIGHT LEFT|RIGHT`
pub(crate) fn lmove(
    args: &[&[u8]],
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    move_element(args, End::parse(args[3])?, End::parse(args[4])?, held, reply)
}

fn move_element(
    args: &[&[u8]],
    from: End,
    to: End,
    held: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    // Both have to be lists before one of them is changed.
    held.read::<List>(args[2])?;
    let Some(element) = held.modify::<List>(args[1])?.and_then(|list| from.pop(list)) else {
        reply.null();
        return Ok(());
    };
    reply.bulk(&element);
    to.push(held.modify_or_new::<List>(args[2])?, element);
    held.remove_if_empty(args[1]);
    Ok(())
}
