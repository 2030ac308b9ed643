//! How old a connection may become.

use heist_scheduler::time::Instant;

use crate::server::Limits;

/// When a connection is to end that was accepted at `accepted_at`. Up to a tenth of the time earlier or
/// later than [`Limits::max_connection_age`] says, so that those which came together do not return
/// together.
pub(super) fn end(accepted_at: Instant, limits: &Limits) -> Instant {
    let Some(age) = limits.max_connection_age else { return Instant::FAR_FUTURE };
    // In 2048ths, from nine tenths to eleven tenths.
    let share = 1843 + (mixed(accepted_at.as_nanos()) % 411) as u32;
    accepted_at + age.saturating_mul(share) / 2048
}

/// All bits of a number depend on all bits of `seed` (SplitMix64).
fn mixed(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ages_spread_over_a_tenth_on_both_sides() {
        let limits =
            Limits { max_connection_age: Some(Duration::from_secs(1000)), ..Limits::default() };
        let ages: Vec<_> = (0..1000)
            .map(Instant::from_nanos)
            .map(|accepted| (end(accepted, &limits) - accepted).as_secs())
            .collect();
        assert!(ages.iter().all(|age| (899..=1101).contains(age)), "{ages:?}");
        let below = |bound| ages.iter().filter(|age| **age < bound).count();
        assert!((50..200).contains(&below(920)) && (400..600).contains(&below(1000)));
    }
}
