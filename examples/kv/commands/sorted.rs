//! Sorted sets.

use smallvec::SmallVec;

use super::{Call, Failure, Outcome, flags, float, range};
use crate::resp::Reply;
use crate::store::Sorted;

/// The options of ZADD.
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

impl Options {
    /// The options in front of the pairs, and the place of the first pair.
    fn parse(call: &Call<'_>, always_incr: bool) -> Result<(Options, usize), Failure> {
        let ([nx, xx, gt, lt, ch, incr], words) =
            flags(&call.args[2..], [b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"]);
        let (incr, rest) = (incr || always_incr, call.args.len() - 2 - words);
        let refusal = if rest == 0 || rest % 2 == 1 {
            return Err(Failure::SYNTAX);
        } else if nx && xx {
            "ERR XX and NX options at the same time are not compatible"
        } else if gt && (nx || lt) || lt && nx {
            "ERR GT, LT, and/or NX options at the same time are not compatible"
        } else if incr && rest > 2 {
            "ERR INCR option supports a single increment-element pair"
        } else {
            return Ok((Options { nx, xx, gt, lt, ch, incr }, 2 + words));
        };
        Err(Failure::new(refusal))
    }

    /// The score that a member is to get, if any.
    fn score(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, Failure> {
        let Some(old) = old else { return Ok((!self.xx).then_some(given)) };
        let new = if self.incr { old + given } else { given };
        if self.nx {
            return Ok(None);
        }
        if new.is_nan() {
            return Err(Failure::new("ERR resulting score is not a number (NaN)"));
        }
        Ok((!(self.lt && new >= old || self.gt && new <= old)).then_some(new))
    }
}

/// ZADD, and ZINCRBY, which always increments.
pub(super) fn add(call: &mut Call<'_>, incr: bool) -> Outcome {
    let (options, first) = Options::parse(call, incr)?;
    let key = call.key();
    // Every score has to be one before any is set.
    let mut pairs: SmallVec<[(f64, &[u8]); 4]> = SmallVec::new();
    for pair in call.args[first..].chunks_exact(2) {
        pairs.push((float::double(pair[0]).ok_or(Failure::NOT_FLOAT)?, pair[1]));
    }
    let (mut added, mut changed, mut last) = (0, 0, None);
    let sorted = match options.xx {
        true => call.held.at(key).modify::<Sorted>()?,
        false => Some(call.held.at(key).modify_or_new::<Sorted>()?),
    };
    if let Some(sorted) = sorted {
        for (given, member) in pairs {
            let update = sorted.update(member, |old| options.score(old, given))?;
            last = update.new;
            added += usize::from(update.old.is_none() && last.is_some());
            changed += usize::from(last.is_some() && update.old != last);
        }
    }
    if changed > 0 {
        call.held.at(key).modified(false);
    }
    match (options.incr, last) {
        (true, Some(score)) => call.reply.double(&float::print(score)),
        (true, None) => call.reply.null(),
        (false, _) => call.reply.count(if options.ch { changed } else { added }),
    }
    Ok(())
}

pub(super) fn zscore(call: &mut Call<'_>) -> Outcome {
    let sorted = call.held.at(call.key()).read::<Sorted>()?;
    match sorted.and_then(|sorted| sorted.score(call.args[2])) {
        Some(score) => call.reply.double(&float::print(score)),
        None => call.reply.null(),
    }
    Ok(())
}

/// The rank of a member, from the highest score if `reverse`.
pub(super) fn rank(call: &mut Call<'_>, reverse: bool) -> Outcome {
    let sorted = call.held.at(call.key()).read::<Sorted>()?;
    let rank = sorted.and_then(|sorted| {
        let rank = sorted.rank(call.args[2])?;
        Some(if reverse { sorted.len() - 1 - rank } else { rank })
    });
    match rank {
        Some(rank) => call.reply.count(rank),
        None => call.reply.null(),
    }
    Ok(())
}

/// From the highest score downwards.
pub(super) fn zrevrange(call: &mut Call<'_>) -> Outcome {
    let with_scores = call.args.len() > 4;
    if !(4..call.args.len()).all(|place| call.is(place, "WITHSCORES")) {
        return Err(Failure::SYNTAX);
    }
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let Some(sorted) = call.held.at(call.key()).read::<Sorted>()? else {
        call.reply.array(0);
        return Ok(());
    };
    let range = range(start, stop, sorted.len());
    let nested = call.reply.version_3;
    call.reply.array(if with_scores && !nested { 2 * range.len() } else { range.len() });
    let ranks = sorted.len() - range.end..sorted.len() - range.start;
    for (member, score) in sorted.range(ranks).rev() {
        match with_scores {
            true => write_pair(&mut call.reply, nested, member, score),
            false => call.reply.bulk(member),
        }
    }
    Ok(())
}

fn write_pair(reply: &mut Reply<'_>, nested: bool, member: &[u8], score: f64) {
    if nested {
        reply.array(2);
    }
    reply.bulk(member);
    reply.double(&float::print(score));
}

/// Without a count the pair is the reply, not an array of one pair.
pub(super) fn pop(call: &mut Call<'_>, highest: bool) -> Outcome {
    let wanted = match call.args.len() {
        2 => None,
        3 => Some(call.positive(2)?),
        _ => return Err(Failure::SYNTAX),
    };
    let nested = wanted.is_some() && call.reply.version_3;
    let Some(sorted) = call.held.at(call.key()).modify::<Sorted>()? else {
        call.reply.array(0);
        return Ok(());
    };
    let count = wanted.unwrap_or(1).min(sorted.len());
    call.reply.array(if nested { count } else { 2 * count });
    for (member, score) in std::iter::from_fn(|| sorted.pop(highest)).take(count) {
        write_pair(&mut call.reply, nested, &member, score);
    }
    if count > 0 {
        let is_empty = sorted.len() == 0;
        call.held.at(call.key()).modified(is_empty);
    }
    Ok(())
}
