//! The command line: what happens from the first argument to the exit code.

mod access;
mod admin;
mod app;
mod failures;
mod handover;
mod limits;
mod logging;
mod memory;
mod notices;
mod notify;
mod options;
mod program;
mod relay;
mod reload;
mod respond;
mod routes;
mod served;
mod signals;
mod sockets;
#[cfg(test)]
mod testing;
mod units;
mod upload;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use options::Options;
use program::Program;
use signals::Stop;

/// Runs the program and says how it ended: 0 after an orderly stop, 1 when serving became
/// impossible, 2 when it could not begin as it was told to.
pub(crate) fn main() -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(refusal) => return refusal.print(),
    };
    match Program::start(options).map(Program::run) {
        Ok(Stop::Signal | Stop::HandedOver) => ExitCode::SUCCESS,
        Ok(Stop::ListenerFailed) => ExitCode::from(1),
        Err(error) => {
            complain(format_args!("{error}{}", error.cure()));
            ExitCode::from(2)
        }
    }
}

/// Writes a line to standard output. If nobody reads that, the server goes on without.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line to standard error. If nobody reads that, there is nobody left to tell.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "heist: {line}");
}
