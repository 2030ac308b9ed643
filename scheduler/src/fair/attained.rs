//! What each account attained lately on one worker.

use super::Account;
use super::account::ACCOUNTS;
use crate::clock::Instant;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::fence;

/// What each account attained lately on one worker, and the average over the time that it polled.
///
/// Service fades by half each *tick*, about 8.4 ms. Instead of halving every account, a charge counts double
/// with each tick that has passed since a *landmark*: all entries have one scale, so they compare as they are. When
/// the scale has grown by 24 bits, about every 200 ms, all entries are shifted back and the landmark is now.
///
/// Written by the owner alone, as plain loads and stores. Relaxed: for other threads all of it is a statistic. One
/// that reads while the entries are shifted back sees that by `landmark`, and reads again.
///
/// It takes 32 KB a worker.
pub(crate) struct Attained {
    /// Time divided by the weight, in nanoseconds shifted left by `scale` less the [shift](Account::charge_shift)
    /// of a weight.
    accounts: Box<[AtomicU64; ACCOUNTS]>,
    /// The tick of the landmark, or [`MOVING`].
    landmark: AtomicU64,
    /// How far a charge is shifted left: [`WEIGHT_BITS`] and one for each tick since the landmark.
    scale: AtomicU32,
    /// When the present tick ends, in clock nanoseconds.
    tick_end: AtomicU64,
    /// Of the account that is being served, over the time served.
    average: AtomicU64,
    /// Accounts below this are light.
    light_below: AtomicU64,
    /// How much time is polled until the average looks at an account again, in nanoseconds.
    until_sample: AtomicU64,
}

impl Attained {
    pub(crate) fn new(now: Instant) -> Attained {
        let accounts: Box<[_]> = (0..ACCOUNTS).map(|_| AtomicU64::new(0)).collect();
        Attained {
            accounts: accounts.try_into().expect("there are as many as that"),
            landmark: AtomicU64::new(tick(now)),
            scale: AtomicU32::new(WEIGHT_BITS),
            tick_end: AtomicU64::new(end_of(tick(now))),
            average: AtomicU64::new(0),
            light_below: AtomicU64::new(0),
            until_sample: AtomicU64::new(SAMPLE),
        }
    }

    /// By the owner: a poll for `account` that took `length` nanoseconds has ended `now`.
    #[inline]
    pub(crate) fn charge(&self, account: Account, now: Instant, length: u64) {
        if now.as_nanos() >= self.tick_end.load(Ordering::Relaxed) {
            self.next_tick(now);
        }
        // No overflow: a poll that is longer than the scale may grow for has moved the landmark, and the
        // time between two landmarks is shared by all polls.
        let shift = self.scale.load(Ordering::Relaxed) - account.charge_shift();
        let entry = &self.accounts[account.index()];
        let attained = entry.load(Ordering::Relaxed).wrapping_add(length << shift);
        entry.store(attained, Ordering::Relaxed);
        match self.until_sample.load(Ordering::Relaxed).checked_sub(length) {
            Some(left) => self.until_sample.store(left, Ordering::Relaxed),
            None => self.sample(attained, length),
        }
    }

    /// By the owner: whether a task of `account` need not wait behind others.
    #[inline]
    pub(crate) fn is_light(&self, account: Account) -> bool {
        let attained = self.accounts[account.index()].load(Ordering::Relaxed);
        attained < self.light_below.load(Ordering::Relaxed) || account.goes_first()
    }

    /// The average follows: the longer a poll, the likelier it is the one that is looked at.
    #[inline(never)]
    fn sample(&self, attained: u64, length: u64) {
        let average = self.average.load(Ordering::Relaxed);
        // A long poll counts for each time that it should have been looked at.
        let weight = (length / SAMPLE).max(1).ilog2().min(AVERAGE_BITS);
        let step = (attained as i64).wrapping_sub(average as i64) >> (AVERAGE_BITS - weight);
        self.set_average(average.wrapping_add_signed(step));
        self.until_sample.store(SAMPLE, Ordering::Relaxed);
    }

    #[inline(never)]
    fn next_tick(&self, now: Instant) {
        let tick = tick(now);
        let passed = tick.saturating_sub(self.landmark.load(Ordering::Relaxed));
        if passed > SCALE_BITS {
            self.move_landmark(tick, passed);
        } else {
            self.scale.store(WEIGHT_BITS + passed as u32, Ordering::Relaxed);
        }
        self.tick_end.store(end_of(tick), Ordering::Relaxed);
    }

    /// Shifts everything to the scale of a landmark that is `passed` ticks later.
    fn move_landmark(&self, tick: u64, passed: u64) {
        let shift = u32::try_from(passed).unwrap_or(u32::MAX);
        let faded = |entry: u64| entry.checked_shr(shift).unwrap_or(0);
        self.landmark.store(MOVING, Ordering::Relaxed);
        // Pairs with the fence in `add_to`: a reader that sees an entry that is shifted sees the mark.
        fence(Ordering::Release);
        for entry in self.accounts.iter() {
            entry.store(faded(entry.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
        self.set_average(faded(self.average.load(Ordering::Relaxed)));
        self.scale.store(WEIGHT_BITS, Ordering::Relaxed);
        // Pairs with the Acquire in `add_to`: a reader that sees this landmark sees the shifted entries.
        self.landmark.store(tick, Ordering::Release);
    }

    fn set_average(&self, average: u64) {
        self.average.store(average, Ordering::Relaxed);
        self.light_below.store(average - average / 4, Ordering::Relaxed);
    }

    /// By any thread: adds what each account attained here lately to its place in `sums`, in nanoseconds of a
    /// normal account.
    ///
    /// Adds nothing if the owner moves the landmark each time that this looks.
    pub(crate) fn add_to(&self, sums: &mut [u64], now: Instant) {
        for _ in 0..TRIES {
            // Acquire pairs with the Release in `move_landmark`.
            let landmark = self.landmark.load(Ordering::Acquire);
            let passed = tick(now).saturating_sub(landmark);
            let shift = u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(NORMAL_SCALE);
            let attained =
                |entry: &AtomicU64| entry.load(Ordering::Relaxed).checked_shr(shift).unwrap_or(0);
            let here: Vec<u64> = self.accounts.iter().map(attained).collect();
            // Pairs with the fence in `move_landmark`.
            fence(Ordering::Acquire);
            if landmark != MOVING && self.landmark.load(Ordering::Relaxed) == landmark {
                sums.iter_mut().zip(here).for_each(|(sum, here)| *sum = sum.saturating_add(here));
                return;
            }
            std::hint::spin_loop();
        }
    }
}

/// The accounts that attained most lately on all of the workers, heaviest first, `at_most` of them; in nanoseconds.
pub(crate) fn heaviest<'a>(
    workers: impl Iterator<Item = &'a Attained>,
    now: Instant,
    at_most: usize,
) -> Vec<(Account, u64)> {
    let mut sums = vec![0; ACCOUNTS];
    workers.for_each(|worker| worker.add_to(&mut sums, now));
    let mut accounts: Vec<_> = (0..ACCOUNTS).filter(|&index| sums[index] > 0).collect();
    accounts.sort_unstable_by_key(|&index| std::cmp::Reverse(sums[index]));
    accounts.truncate(at_most);
    accounts.into_iter().map(|index| (Account::at(index), sums[index])).collect()
}

fn tick(now: Instant) -> u64 {
    now.as_nanos() >> TICK_BITS
}

/// When a tick ends, in clock nanoseconds.
fn end_of(tick: u64) -> u64 {
    (tick + 1) << TICK_BITS
}

/// A tick is 2^23 ns, about 8.4 ms: after it a long poll of a small task has been half forgotten.
const TICK_BITS: u32 = 23;
/// How far a charge is shifted left at the landmark, so that no weight shifts it to the right.
const WEIGHT_BITS: u32 = 7;
/// How far one of a normal account is.
const NORMAL_SCALE: u32 = 4;
/// Ticks after which the landmark moves.
const SCALE_BITS: u64 = 24;
/// In place of a landmark that is being moved.
const MOVING: u64 = u64::MAX;
/// Times that a reader looks for a landmark that stays.
const TRIES: u32 = 16;
/// The average looks at the poll in which so many nanoseconds are over, about 33 µs.
const SAMPLE: u64 = 1 << 15;
/// A look moves the average by a part in 2^5: it is one over about a millisecond of polls.
const AVERAGE_BITS: u32 = 5;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::fair::Weight;

    const START: Instant = Instant::from_nanos(1_000_000_000);

    /// A worker's table and the time there.
    struct Polls {
        attained: Attained,
        now: Instant,
    }

    impl Polls {
        fn new() -> Polls {
            Polls { attained: Attained::new(START), now: START }
        }

        fn poll(&mut self, account: Account, micros: u64) {
            self.now = Instant::from_nanos(self.now.as_nanos() + micros * 1_000);
            self.attained.charge(account, self.now, micros * 1_000);
        }

        fn light(&self, account: Account) -> bool {
            self.attained.is_light(account)
        }

        fn sums(&self) -> Vec<u64> {
            let mut sums = vec![0; ACCOUNTS];
            self.attained.add_to(&mut sums, self.now);
            sums
        }
    }

    fn accounts<const N: usize>() -> [Account; N] {
        [(); N].map(|()| Account::new())
    }

    #[test]
    fn account_that_takes_little_is_light_beside_bulk_and_bulk_is_not() {
        let (mut polls, [small, bulk @ ..]) = (Polls::new(), accounts::<33>());
        for round in 0..1_000 {
            bulk.iter().for_each(|&account| polls.poll(account, 40));
            polls.poll(small, 10);
            if round > 10 {
                assert!(polls.light(small), "round {round}");
                assert!(!bulk.iter().any(|&account| polls.light(account)), "round {round}");
            }
        }
    }

    /// Failure: at each tick all of alike tasks were light for a while, and overtook each other.
    #[test]
    fn alike_accounts_are_never_light() {
        let (mut polls, alike) = (Polls::new(), accounts::<64>());
        for round in 0..2_000 {
            for &account in &alike {
                assert!(round < 50 || !polls.light(account), "round {round}");
                polls.poll(account, 10);
            }
        }
    }

    /// Failure: among many short polls the average was theirs, and a task of few long ones passed none.
    #[test]
    fn short_polls_are_light_beside_a_few_that_take_as_much_time() {
        let (mut polls, short, [long]) = (Polls::new(), accounts::<100>(), accounts());
        for round in 0..200 {
            short.iter().for_each(|&account| polls.poll(account, 20));
            polls.poll(long, 2_000);
            assert!(round < 10 || short.iter().all(|&account| polls.light(account)), "{round}");
        }
    }

    #[test]
    fn long_poll_of_a_small_task_is_forgotten_within_milliseconds() {
        let (mut polls, [small, bulk @ ..]) = (Polls::new(), accounts::<9>());
        let turn = |polls: &mut Polls, millis: u64| {
            for _ in 0..millis {
                bulk.iter().for_each(|&account| polls.poll(account, 120));
                polls.poll(small, 5);
            }
        };
        turn(&mut polls, 100);
        assert!(polls.light(small));
        polls.poll(small, 5_000);
        assert!(!polls.light(small));
        turn(&mut polls, 40);
        assert!(polls.light(small));
    }

    #[test]
    fn weight_divides_what_is_charged() {
        let (mut polls, [half, one, four]) = (Polls::new(), accounts());
        for _ in 0..10 {
            polls.poll(half.with_weight(Weight::one_in(2)), 100);
            polls.poll(one, 100);
            polls.poll(four.with_weight(Weight::times(4)), 100);
        }
        let sums = polls.sums();
        let of = |account: Account| sums[account.index()];
        assert_eq!((of(half), of(one), of(four)), (2_000_000, 1_000_000, 250_000));
    }

    #[test]
    fn account_that_goes_first_is_light_whatever_it_takes() {
        let (mut polls, [first, other]) = (Polls::new(), accounts());
        let first = first.with_weight(Weight::FIRST);
        for _ in 0..100 {
            polls.poll(first, 10_000);
            polls.poll(other, 10);
            assert!(polls.light(first));
        }
    }

    /// Failure: an account overflowed when its worker had polled for long, or behind a poll of hours.
    #[test]
    fn entries_fade_and_never_overflow() {
        let (mut polls, [one, other]) = (Polls::new(), accounts());
        let one = one.with_weight(Weight::one_in(8));
        for _ in 0..100_000 {
            polls.poll(one, 1_000);
        }
        let all = polls.sums()[one.index()];
        // Twice a tick at the most, eight times as much by the weight.
        assert!((60_000_000..140_000_000).contains(&all), "{all}");
        for micros in [8_000, 250_000, 5_000_000, 3_600_000_000, u64::MAX / 1_000_000] {
            polls.poll(other, micros);
            polls.poll(other, 1);
            assert!(!polls.light(other) || polls.sums()[other.index()] == 0, "{micros}");
        }
        assert_eq!(polls.sums()[one.index()], 0);
    }

    #[test]
    fn heaviest_accounts_are_those_of_all_workers() {
        let (mut here, mut there) = (Polls::new(), Polls::new());
        let [small, both, large, last] = accounts();
        for (account, micros) in [(small, 10), (both, 300), (large, 500), (last, 1)] {
            here.poll(account, micros);
        }
        there.poll(both, 300);
        let workers = [&here.attained, &there.attained];
        let heaviest = heaviest(workers.into_iter(), here.now, 3);
        assert_eq!(heaviest, [(both, 600_000), (large, 500_000), (small, 10_000)]);
    }
}
