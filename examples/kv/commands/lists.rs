//! Lists, with two ends.

use super::{Call, Outcome, range};
use crate::store::List;

#[derive(Clone, Copy)]
pub(super) enum End {
    Left,
    Right,
}

pub(super) fn push(call: &mut Call<'_>, end: End) -> Outcome {
    let list = call.held.at(call.key()).modify_or_new::<List>()?;
    for element in &call.args[2..] {
        match end {
            End::Left => list.push_front((*element).into()),
            End::Right => list.push_back((*element).into()),
        }
    }
    call.reply.count(list.len());
    call.held.at(call.key()).modified(false);
    Ok(())
}

/// With a count the reply is an array.
pub(super) fn pop(call: &mut Call<'_>, end: End) -> Outcome {
    let wanted = match call.args.len() {
        2 => None,
        3 => Some(call.positive(2)?),
        _ => return Err(call.command.wrong_arity()),
    };
    let Some(list) = call.held.at(call.key()).modify::<List>()? else {
        match wanted {
            Some(_) => call.reply.null_array(),
            None => call.reply.null(),
        }
        return Ok(());
    };
    let count = wanted.unwrap_or(1).min(list.len());
    if wanted.is_some() {
        call.reply.array(count);
    }
    for _ in 0..count {
        let element = match end {
            End::Left => list.pop_front(),
            End::Right => list.pop_back(),
        };
        call.reply.bulk_or_null(element.as_deref());
    }
    if count > 0 {
        let is_empty = list.is_empty();
        call.held.at(call.key()).modified(is_empty);
    }
    Ok(())
}

pub(super) fn lrange(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let list = call.held.at(call.key()).read::<List>()?;
    let range = range(start, stop, list.map_or(0, List::len));
    call.reply.array(range.len());
    let elements = list.into_iter().flat_map(|list| list.range(range.clone()));
    elements.for_each(|element| call.reply.bulk(element));
    Ok(())
}
