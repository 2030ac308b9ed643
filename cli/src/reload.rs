//! What is reopened or reread while the program serves: one list for all signals.

use std::io;

use metrics::{counter, describe_counter};

/// All that can be reloaded.
#[derive(Default)]
pub(crate) struct Reloads {
    all: Vec<Reload>,
}

/// One thing that can be reloaded.
struct Reload {
    what: &'static str,
    kind: Kind,
    run: Box<dyn Fn() -> io::Result<()> + Send>,
}

/// Which signals reload a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file that lines are appended to: SIGUSR1 and SIGHUP.
    LogFile,
    /// A file that is read: SIGHUP.
    Configuration,
}

impl Reloads {
    /// Adds a thing, with its name in log and metrics. `run` is called on the thread of the
    /// signals; when it fails, the thing stays as it was.
    pub(crate) fn add(
        &mut self,
        what: &'static str,
        kind: Kind,
        run: impl Fn() -> io::Result<()> + Send + 'static,
    ) {
        describe_counter!(RELOADS, "Reloads, by what was reloaded and the outcome.");
        for outcome in [DONE, FAILED] {
            counter!(RELOADS, "what" => what, "outcome" => outcome).increment(0);
        }
        self.all.push(Reload { what, kind, run: Box::new(run) });
    }

    /// Reloads everything.
    pub(crate) fn run_all(&self) {
        self.run(|_| true);
    }

    /// Opens the log files again.
    pub(crate) fn run_log_files(&self) {
        self.run(|kind| kind == Kind::LogFile);
    }

    fn run(&self, wanted: impl Fn(Kind) -> bool) {
        let wanted: Vec<_> = self.all.iter().filter(|reload| wanted(reload.kind)).collect();
        if wanted.is_empty() {
            tracing::info!("nothing to reload");
        }
        for Reload { what, run, .. } in wanted {
            let reloaded = run();
            // Before the line: a reader of it finds the reload counted.
            let outcome = if reloaded.is_ok() { DONE } else { FAILED };
            counter!(RELOADS, "what" => *what, "outcome" => outcome).increment(1);
            match reloaded {
                Ok(()) => tracing::info!(what, "reloaded"),
                Err(error) => {
                    tracing::error!(what, %error, "cannot reload: the old one stays in use");
                }
            }
        }
    }
}

pub(super) const RELOADS: &str = "heist_reloads_total";

const DONE: &str = "done";
const FAILED: &str = "failed";
