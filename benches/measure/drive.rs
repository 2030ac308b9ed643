//! How an entrant is made to give figures.

use super::bench::Bench;
use super::figures::{Fault, Figures};

/// Something that can be measured again and again.
///
/// Each visit starts processes of its own and ends them, and leaves nothing behind.
pub(crate) trait Drive {
    /// Measures it once.
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault>;
}
