//! The program `heist`: an HTTP server on heist, to try, to load and to read.
//!
//! [`program`] has the order of events: read the options, bind or inherit every address, start
//! threads, serve until a signal, drain, report.

#![deny(unsafe_code)]

mod access;
mod addresses;
mod admin;
mod app;
mod console;
mod failures;
mod handover;
mod limits;
mod logging;
mod memory;
mod notices;
mod notify;
mod options;
mod program;
mod recording;
mod reload;
mod respond;
mod restarter;
mod routes;
mod signals;
mod sockets;
#[cfg(test)]
mod testing;
mod tls;
mod units;
mod upload;
mod websocket;

use std::process::ExitCode;

use console::eprint;
use options::Options;
use program::Program;
use signals::Stop;

/// Exit codes: 0 after an orderly stop, 1 when serving became impossible, 2 when the program could
/// not start as configured.
fn main() -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(refusal) => return refusal.print(),
    };
    match Program::start(options).map(Program::run) {
        Ok(Stop::Signal | Stop::HandedOver) => ExitCode::SUCCESS,
        Ok(Stop::ListenerFailed) => ExitCode::from(1),
        Err(error) => {
            eprint(format_args!("{error}{}", error.cure()));
            ExitCode::from(2)
        }
    }
}
