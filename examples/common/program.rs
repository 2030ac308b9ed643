//! What the larger examples share: their exit codes, the runtime, and messages on standard error.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use heist::{Builder, Runtime, Server, StartError};

/// Runs the program `name`. `prepared` is what depends on the options and fails before any thread
/// starts; `serve` is the rest.
///
/// Exit codes: 0 after an orderly stop, 1 when `serve` failed, 2 when the preparation did.
pub(crate) fn run<T>(
    name: &str,
    prepared: Result<T, impl Display>,
    serve: impl FnOnce(T) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprint(format_args!("{name}: {error}"));
            return ExitCode::from(2);
        }
    };
    match serve(prepared) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint(format_args!("{name}: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A runtime with `workers` workers; as many as CPUs if `None`.
pub(crate) fn runtime(workers: Option<u16>) -> Result<Runtime, StartError> {
    let builder = Builder::new();
    match workers {
        Some(workers) => builder.workers(workers.into()).start(),
        None => builder.start(),
    }
}

/// Drains `server`, and reports how that went.
pub(crate) fn drain(server: &Server, grace: Duration) {
    eprint(format_args!("stopped: {}", server.drain_blocking(grace)));
}

/// Writes a line to standard error. `eprintln!` panics where that fails, which must not end a
/// server.
pub(crate) fn eprint(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
