//! Sets.

use super::{Call, Failure, Outcome};
use crate::store::Set;

pub(super) fn sadd(call: &mut Call<'_>) -> Outcome {
    let set = call.held.at(call.key()).modify_or_new::<Set>()?;
    let added = call.args[2..].iter().filter(|member| set.insert((**member).into())).count();
    if added > 0 {
        call.held.at(call.key()).modified(false);
    }
    call.reply.count(added);
    Ok(())
}

/// Takes random members; with a count the reply is a set.
pub(super) fn spop(call: &mut Call<'_>) -> Outcome {
    let wanted = match call.args.len() {
        2 => None,
        3 => Some(call.positive(2)?),
        _ => return Err(Failure::SYNTAX),
    };
    let mut set = call.held.at(call.key()).modify::<Set>()?;
    let count = wanted.unwrap_or(1).min(set.as_ref().map_or(0, |set| set.len()));
    match wanted {
        Some(_) => call.reply.set(count),
        None if count == 0 => call.reply.null(),
        None => {}
    }
    for _ in 0..count {
        let set = set.as_mut().expect("members were counted");
        let member = set.swap_remove_index(fastrand::usize(..set.len()));
        call.reply.bulk_or_null(member.as_deref());
    }
    if let Some(set) = set.filter(|_| count > 0) {
        let is_empty = set.is_empty();
        call.held.at(call.key()).modified(is_empty);
    }
    Ok(())
}

pub(super) fn smembers(call: &mut Call<'_>) -> Outcome {
    let set = call.held.at(call.key()).read::<Set>()?;
    call.reply.set(set.map_or(0, Set::len));
    set.into_iter().flatten().for_each(|member| call.reply.bulk(member));
    Ok(())
}
