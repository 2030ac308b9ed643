//! What is happening now.

use std::process::{Command, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::figures::Fault;
use super::guard::guard;

/// A bar for the visits of a row, none so far.
pub(crate) fn bar(row: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:13} {bar:30} {pos}/{len} {eta} {wide_msg}");
    ProgressBar::new(0)
        .with_style(style.expect("the template is well-formed"))
        .with_prefix(row.to_owned())
}

/// Runs a command that builds something. Its output is shown only where no user watches the
/// spinner, or when it fails.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<(), Fault> {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    guard(command)?.stdin(Stdio::null());
    if spinner.is_hidden() {
        eprintln!("{what}");
    }
    let output = command.output().map_err(Fault::of(what))?;
    spinner.finish_and_clear();
    match output.status.success() {
        true => Ok(()),
        false => Err(Fault::Failed(format!(
            "{what}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
