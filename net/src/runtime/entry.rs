//! What the expansions of the attributes `main` and `test` call.

use std::future::Future;
use std::io::{self, Write};
use std::process;

use heist_scheduler::time::{Clock, ManualClock};

use super::builder::Builder;

/// Runs the future of a program's `main`. A runtime that does not start ends the program.
pub fn run_main<F: Future>(builder: Builder, main: F) -> F::Output {
    match builder.start() {
        Ok(runtime) => runtime.block_on(main),
        Err(error) => {
            // Where this fails, the exit code is left to tell it.
            let _ = writeln!(io::stderr(), "heist: the runtime did not start: {error}");
            process::exit(1)
        }
    }
}

/// Runs the future of a test.
#[track_caller]
pub fn run_test<F: Future>(builder: Builder, test: F) -> F::Output {
    match builder.start() {
        Ok(runtime) => runtime.block_on(test),
        Err(error) => panic!("the runtime of this test did not start: {error}"),
    }
}

/// Runs a test on virtual time.
#[track_caller]
pub fn run_test_on_clock<F: Future>(
    builder: Builder,
    test: impl FnOnce(ManualClock) -> F,
) -> F::Output {
    let (clock, manual) = Clock::manual();
    run_test(builder.clock(clock), test(manual))
}
