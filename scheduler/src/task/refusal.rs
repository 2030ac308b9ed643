//! Why a task was not taken.

use std::fmt;

/// Why a task was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The runtime is shutting down.
    ShuttingDown,
    /// The bound on live tasks, or on queued blocking work, is reached.
    Full { bound: usize },
    /// A thread was needed and could not be started.
    NoThread,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::ShuttingDown => f.write_str("the runtime is shutting down"),
            Refusal::Full { bound } => write!(f, "the bound of {bound} is reached"),
            Refusal::NoThread => f.write_str("no thread could be started for it"),
        }
    }
}
