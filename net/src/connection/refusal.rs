//! Why a connection was never served.

/// Why a connection was closed before it was served. It is not counted as accepted, except where that is
/// known only behind a PROXY header; see
/// [`Builder::proxy_protocol`](crate::server::Builder::proxy_protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer's address has as many open connections as it may have.
    PerAddress,
    /// The runtime is overloaded.
    Overload,
    /// The connection was accepted after the grace of a drain had ended.
    Draining,
    /// There were no descriptors, memory or task for it, and no other connection whose end would
    /// free some.
    Exhausted,
}

impl Refusal {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Refusal; 4] =
        [Refusal::PerAddress, Refusal::Overload, Refusal::Draining, Refusal::Exhausted];

    /// The label `reason` of a metric for it.
    pub fn label(self) -> &'static str {
        match self {
            Refusal::PerAddress => "per_address",
            Refusal::Overload => "overload",
            Refusal::Draining => "draining",
            Refusal::Exhausted => "exhausted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_found_at_its_own_place() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index, "{refusal:?}");
        }
    }
}
