//! The program `heist`: an HTTP server on heist, to try it, to load it, and to read.
//!
//! It goes the way of `cli::program`: read the options, bind every address or take it over, start threads, serve
//! until a signal comes, drain, report.

#![deny(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
