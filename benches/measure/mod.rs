//! What the benchmarks have in common, the scoreboard and the stress run: programs in processes of
//! their own, rounds in which they take turns, and what becomes of their figures.
//!
//! The way of one figure: a row (`row`) has cases, a case entrants. `rounds` lets these take turns;
//! an entrant's turn is a visit (`drive`), which starts a program (`program`), loads it, and gives
//! figures (`figures`). `statistics` makes medians of them.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod drive;
pub(crate) mod figures;
pub(crate) mod guard;
pub(crate) mod machine;
pub(crate) mod program;
pub(crate) mod progress;
pub(crate) mod rounds;
pub(crate) mod row;
pub(crate) mod scale;
pub(crate) mod statistics;
pub(crate) mod write;
