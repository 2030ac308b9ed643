//! How much is measured.

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    Quick,
    Smoke,
}

impl Scale {
    /// Rounds of a row that asks for `full` of them.
    pub(crate) fn rounds(self, full: usize) -> usize {
        match self {
            Scale::Full => full,
            Scale::Quick if full == COUNTED => 2,
            Scale::Quick => full.min(3),
            Scale::Smoke => 1,
        }
    }

    /// How long a load runs that runs so many seconds in full.
    pub(crate) fn seconds(self, full: f64) -> f64 {
        match self {
            Scale::Full => full,
            Scale::Quick => (full * 0.4).min(0.25),
            Scale::Smoke => 0.1,
        }
    }

    /// How many operations or connections are used where it is so many in full.
    pub(crate) fn count(self, full: usize) -> usize {
        match self {
            Scale::Full => full,
            Scale::Quick => full.div_ceil(4),
            Scale::Smoke => full.div_ceil(50),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scale::Full => "full",
            Scale::Quick => "quick",
            Scale::Smoke => "smoke",
        }
    }
}

/// Rounds of a row that counts rather than times: it scatters little.
pub(crate) const COUNTED: usize = 3;
