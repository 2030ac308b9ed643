//! What a task's time is charged to.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use super::Weight;

/// What the time of a task is charged to: a task that its account makes light does not wait behind others.
///
/// A spawned task has the account of the task that spawns it, and one that is spawned off the workers, or by the
/// future of [`block_on`](crate::Handle::block_on), an account of its own. A connection's task gets its account
/// from its server. [`TaskBuilder::account`](crate::TaskBuilder::account) chooses one, and
/// [`set_account`](crate::set_account) changes that of the running task.
///
/// There are 4,096 accounts in a process. Two that fall together are one: their tasks are charged for each
/// other's time. [`new`](Account::new) gives them in turn, a block of 64 to each thread: they come again after some
/// 4,000, and sooner where threads come and go.
///
/// ```
/// use heist::task::{Account, Builder, Weight};
///
/// # let runtime = heist::Builder::new().workers(1).start()?;
/// # runtime.block_on(async {
/// let tenant = Account::shared(&"tenant 7").with_weight(Weight::times(2));
/// let task = Builder::new().account(tenant).spawn(async { heist::task::account() });
/// assert_eq!(task.await.unwrap(), tenant);
/// # });
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account(u16);

/// How many accounts there are.
pub(super) const ACCOUNTS: usize = 1 << INDEX_BITS;

/// Bits of an account: its number, and the weight above it.
const INDEX_BITS: u32 = 12;
const INDEX: u16 = ACCOUNTS as u16 - 1;

impl Account {
    /// Of a task for which no worker keeps an account.
    pub(crate) const NONE: Account = Account(Weight::NORMAL.bits() << INDEX_BITS);

    /// How many bits [`bits`](Account::bits) has.
    pub(crate) const BITS: u32 = INDEX_BITS + 3;

    /// An account of its own.
    #[must_use]
    pub fn new() -> Account {
        thread_local! {
            /// The number that the calling thread gives next, in a block of 64 that it has taken.
            static NEXT: Cell<u16> = const { Cell::new(0) };
        }
        /// The number of the next block.
        static NEXT_BLOCK: AtomicU16 = AtomicU16::new(0);
        let next = NEXT.with(|next| {
            let mut number = next.get();
            if number.is_multiple_of(BLOCK) {
                // Relaxed: it only spreads the numbers; nothing is published by it.
                number = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed).wrapping_mul(BLOCK);
            }
            next.set(number.wrapping_add(1));
            number
        });
        Account(next & INDEX).with_weight(Weight::NORMAL)
    }

    /// The account of `key`, the same wherever it is asked for in this process: of a peer's address, a tenant, a
    /// route.
    ///
    /// Which keys fall together differs from process to process, so peers cannot choose it.
    #[must_use]
    pub fn shared(key: &(impl Hash + ?Sized)) -> Account {
        static STATE: OnceLock<RandomState> = OnceLock::new();
        let hash = STATE.get_or_init(RandomState::new).hash_one(key);
        Account(hash as u16 & INDEX).with_weight(Weight::NORMAL)
    }

    /// The same account, charged by this weight for what the task does that has it. It is
    /// [`NORMAL`](Weight::NORMAL) otherwise.
    #[must_use]
    pub fn with_weight(self, weight: Weight) -> Account {
        Account(self.0 & INDEX | weight.bits() << INDEX_BITS)
    }

    /// By which weight it is charged.
    #[must_use]
    pub fn weight(self) -> Weight {
        Weight::from_bits(self.0 >> INDEX_BITS)
    }

    /// The account without its weight, as a number below 4,096: for a table with an entry for each.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0 & INDEX)
    }

    /// The account of a number below 4,096, with the normal weight.
    pub(super) fn at(index: usize) -> Account {
        Account(index as u16 & INDEX).with_weight(Weight::NORMAL)
    }

    /// Whether its tasks always go first.
    #[inline]
    pub(super) fn goes_first(self) -> bool {
        self.0 >= Weight::FIRST.bits() << INDEX_BITS
    }

    /// How many bits a charge is shifted to the right.
    #[inline]
    pub(super) fn charge_shift(self) -> u32 {
        u32::from(self.0 >> INDEX_BITS)
    }

    /// As a number of [`BITS`](Account::BITS) bits.
    #[inline]
    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    /// Of such a number.
    #[inline]
    pub(crate) fn from_bits(bits: u16) -> Account {
        Account(bits)
    }
}

impl Default for Account {
    /// An account of its own.
    fn default() -> Account {
        Account::new()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("index", &self.index())
            .field("weight", &self.weight())
            .finish()
    }
}

/// Numbers that a thread takes at once, so that threads do not meet at the counter for each.
const BLOCK: u16 = 64;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Failure: connections that were accepted one after the other were charged for each other's time.
    #[test]
    fn new_accounts_in_a_row_are_different() {
        let accounts: HashSet<_> = (0..64).map(|_| Account::new().index()).collect();
        assert_eq!(accounts.len(), 64);
        let all: HashSet<_> = (0..4 * ACCOUNTS).map(|_| Account::new().index()).collect();
        assert!(all.iter().all(|&index| index < ACCOUNTS));
    }

    #[test]
    fn account_of_a_key_is_the_same_each_time() {
        let accounts: HashSet<_> = (0..1_000).map(|key| Account::shared(&key)).collect();
        assert!(accounts.len() > 500, "{}", accounts.len());
        assert!((0..1_000).all(|key| accounts.contains(&Account::shared(&key))));
    }

    #[test]
    fn weight_leaves_the_account_as_it_is() {
        let account = Account::shared("tenant");
        for weight in [Weight::one_in(8), Weight::NORMAL, Weight::times(8), Weight::FIRST] {
            let weighted = account.with_weight(weight);
            assert_eq!((weighted.index(), weighted.weight()), (account.index(), weight));
            assert_eq!(weighted.goes_first(), weight == Weight::FIRST);
            assert_eq!(Account::from_bits(weighted.bits()), weighted);
            assert_eq!(weighted.bits() >> Account::BITS, 0);
        }
        assert_eq!(account.weight(), Weight::NORMAL);
    }
}
