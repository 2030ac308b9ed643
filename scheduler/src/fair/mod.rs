//! Whose turn it is: accounts, and what each was served lately.
//!
//! Each poll charges its length to the [`Account`] of its task. A worker keeps for each account what it
//! *attained* lately, and the average over the time that it polled. A task whose account is well below that
//! average is *light*: when it is woken it need not wait behind the others. So small requests pass bulk
//! transfers without a setting, and opening more connections on one account buys no more time.
//!
//! The measure is attained service (Nuyens and Wierman, "The Foreground-Background queue: A survey", 2008):
//! it needs no estimate of what a task is going to take. Old service fades by forward decay (Cormode,
//! Shkapenyuk, Srivastava and Xu, "Forward Decay", 2009), so no account has to be touched for that.

mod account;
mod attained;
mod usage;
mod weight;

pub use account::Account;
pub(crate) use attained::{Attained, heaviest};
pub(crate) use usage::Usage;
pub use weight::Weight;
