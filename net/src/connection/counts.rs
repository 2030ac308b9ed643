//! What has happened to a server's connections since its start.

use std::collections::BTreeMap;

use super::close_reason::CloseKind;
use super::refusal::Refusal;

/// What has happened to a server's connections since its start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) refused: [u64; Refusal::ALL.len()],
    pub(crate) closed: ClosedCounts,
    /// By the system's name for the error.
    pub(crate) accept_errors: BTreeMap<&'static str, u64>,
}

/// Connections that have ended, by [`CloseKind`].
pub(crate) type ClosedCounts = [u64; CloseKind::ALL.len()];

impl Counts {
    /// How many connections have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.closed.iter().sum()
    }

    pub(crate) fn refused(&self) -> Vec<(Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.refused).collect()
    }

    pub(crate) fn closed(&self) -> Vec<(CloseKind, u64)> {
        CloseKind::ALL.into_iter().zip(self.closed).collect()
    }
}
