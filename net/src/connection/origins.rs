//! How many connections each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU64;

use heist_scheduler::chunks;

/// Whose connections are counted together: those of one IPv4 address, or of one IPv6 network of 64
/// bits, in which one subscriber can have any address.
///
/// IPv6 is told by its upper 64 bits as they are. IPv4 stands in `0:1::/32`, which is not assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin(NonZeroU64);

impl Origin {
    pub(crate) fn of(address: IpAddr) -> Origin {
        let number = match address.to_canonical() {
            IpAddr::V4(address) => 1 << 32 | u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        Origin(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }
}

/// The open connections of each origin.
#[derive(Debug, Default)]
pub(crate) struct OriginCounts(HashMap<Origin, usize>);

impl OriginCounts {
    /// Counts one more, unless there are `max` already. Returns whether it did.
    #[must_use = "a connection that was not counted is refused"]
    pub(crate) fn try_add(&mut self, origin: Origin, max: usize) -> bool {
        let count = self.0.entry(origin).or_default();
        let fits = *count < max;
        *count += usize::from(fits);
        fits
    }

    /// Counts one less. The map gives the memory of a crowd back.
    pub(crate) fn remove(&mut self, origin: Origin) {
        let Some(count) = self.0.get_mut(&origin) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.0.remove(&origin);
        if let Some(capacity) = chunks::trimmed(self.0.len(), self.0.capacity()) {
            self.0.shrink_to(capacity);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(text.parse().unwrap())
    }

    #[test]
    fn one_subscriber_has_one_origin_whatever_the_address() {
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
        assert_ne!(origin("10.0.0.2"), origin("10.0.0.1"));
        assert_ne!(origin("::1"), origin("0.0.0.1"));
    }
}
