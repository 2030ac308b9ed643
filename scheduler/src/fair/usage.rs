//! What each account used of all workers lately, over a time in which overload shows.

use std::time::Duration;

use super::Weight;
use super::account::{ACCOUNTS, Account};
use crate::clock::{Instant, nanos};
use crate::sync::Mutex;

/// What each account used of all workers of a runtime lately, by samples.
///
/// What an account [attained](super::Attained) fades within milliseconds, and a request may wait in overload
/// for a hundred: by then the work that its connection did before is forgotten. This fades by half each second,
/// and tells which accounts the overload is made of.
///
/// A worker looks about once in a millisecond whose poll it is in, so a poll costs it a comparison. The table is
/// one of 16 KB for the runtime, behind a lock that is taken for each sample, and in overload for each request.
pub(crate) struct Usage {
    /// Holding this = the right to read and change the table. No foreign code runs under it.
    table: Mutex<Table>,
}

struct Table {
    /// The samples of each account, in parts of a weight.
    counts: Box<[u32]>,
    /// The sum of the counts, and that of their squares.
    total: u64,
    squares: u128,
    /// When the counts were halved last.
    halved_at: Instant,
}

impl Usage {
    pub(crate) fn new(now: Instant) -> Usage {
        let counts = vec![0; ACCOUNTS].into();
        Usage { table: Mutex::new(Table { counts, total: 0, squares: 0, halved_at: now }) }
    }

    /// By a worker: `samples` looks have found a poll that is charged to `account`.
    #[cold]
    pub(crate) fn add(&self, account: Account, samples: u64, now: Instant) {
        let mut table = self.table.lock();
        table.fade(now);
        let added = samples.min(MOST_SAMPLES) << WEIGHT_BITS >> account.charge_shift();
        let count = &mut table.counts[account.index()];
        let (before, after) = (u64::from(*count), u64::from(*count) + added);
        let Ok(fits) = u32::try_from(after) else { return };
        *count = fits;
        table.total += added;
        table.squares += square(after) - square(before);
    }

    /// Whether `account` used no less than the average of the accounts over the time that was used. Never
    /// where it used nothing, or goes first.
    ///
    /// That is the average of the account of a look: there is always one that is heavy, and of alike
    /// accounts about half are.
    pub(crate) fn is_heavy(&self, account: Account, now: Instant) -> bool {
        if account.weight() == Weight::FIRST {
            return false;
        }
        let mut table = self.table.lock();
        table.fade(now);
        let count = u64::from(table.counts[account.index()]);
        count > 0 && u128::from(count) * u128::from(table.total) >= table.squares
    }
}

impl Table {
    fn fade(&mut self, now: Instant) {
        let halvings = now.nanos_since(self.halved_at) / nanos(HALF_LIFE);
        if halvings == 0 {
            return;
        }
        self.halved_at = now;
        let shift = u32::try_from(halvings).unwrap_or(u32::MAX);
        (self.total, self.squares) = (0, 0);
        for count in &mut self.counts {
            *count = count.checked_shr(shift).unwrap_or(0);
            self.total += u64::from(*count);
            self.squares += square(u64::from(*count));
        }
    }
}

fn square(count: u64) -> u128 {
    u128::from(count) * u128::from(count)
}

/// After it half of what was used is forgotten: ten times the interval in which overload is found.
const HALF_LIFE: Duration = Duration::from_secs(1);
/// A sample is so many bits to the left, so that no weight shifts it to the right.
const WEIGHT_BITS: u32 = 7;
/// Of one poll, which was one of an hour then.
const MOST_SAMPLES: u64 = 1 << 22;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(5_000_000_000);

    fn after(time: Duration) -> Instant {
        START + time
    }

    fn accounts<const N: usize>() -> [Account; N] {
        [(); N].map(|()| Account::new())
    }

    #[test]
    fn accounts_that_use_most_are_heavy_and_the_others_are_not() {
        let (usage, [tenant, bulk, single, idle]) = (Usage::new(START), accounts());
        for _ in 0..100 {
            usage.add(tenant, 10, START);
            usage.add(bulk, 8, START);
            usage.add(single, 1, START);
        }
        let heavy = [tenant, bulk, single, idle].map(|account| usage.is_heavy(account, START));
        assert_eq!(heavy, [true, false, false, false]);
        // Without the one above it the next is.
        let later = after(Duration::from_secs(20));
        (0..100).for_each(|_| usage.add(bulk, 8, later));
        assert!(usage.is_heavy(bulk, later) && !usage.is_heavy(tenant, later));
    }

    #[test]
    fn of_alike_accounts_some_are_heavy() {
        let (usage, alike) = (Usage::new(START), accounts::<64>());
        alike.iter().for_each(|&account| usage.add(account, 5, START));
        assert!(alike.iter().all(|&account| usage.is_heavy(account, START)));
        alike.iter().step_by(2).for_each(|&account| usage.add(account, 1, START));
        let heavy = alike.iter().filter(|&&account| usage.is_heavy(account, START));
        assert_eq!(heavy.count(), 32);
    }

    #[test]
    fn usage_is_divided_by_the_weight_and_what_goes_first_is_never_heavy() {
        let (usage, [one, two, first]) = (Usage::new(START), accounts());
        let two = two.with_weight(Weight::times(4));
        let first = first.with_weight(Weight::FIRST);
        for account in [one, two, first] {
            usage.add(account, 100, START);
        }
        let heavy = [one, two, first].map(|account| usage.is_heavy(account, START));
        assert_eq!(heavy, [true, false, false]);
    }

    /// Failure: an account stayed heavy for ever, or its counts overflowed.
    #[test]
    fn usage_fades_and_is_bounded() {
        let (usage, [long, late]) = (Usage::new(START), accounts());
        let long = long.with_weight(Weight::one_in(8));
        (0..10_000).for_each(|_| usage.add(long, u64::MAX, START));
        assert!(usage.is_heavy(long, START));
        let later = after(Duration::from_secs(40));
        usage.add(late, 1, later);
        assert!(!usage.is_heavy(long, later) && usage.is_heavy(late, later));
        assert!(!usage.is_heavy(late, after(Duration::from_secs(3600))));
    }
}
