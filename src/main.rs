//! The program `heist`: an HTTP server on heist, to try it, to load it, and to read.
//!
//! It goes the way of `cli::serve`: read the options, bind every address, start threads, serve
//! until a signal comes, drain, report.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
