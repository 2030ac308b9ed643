//! Tests of the scoreboard's parts. The scoreboard itself has a `main` of its own, so that the test
//! runner does not find tests in it.

#[path = "../../measure/mod.rs"]
#[allow(dead_code, reason = "the scoreboard uses the rest of it")]
mod measure;

#[path = "../history/mod.rs"]
mod history;
#[path = "../judge.rs"]
#[allow(dead_code, reason = "the scoreboard uses the rest of it")]
mod judge;

mod before;
#[path = "history.rs"]
mod history_page;
mod interrupted;
mod rounds;
mod scripted;
mod statistics;
