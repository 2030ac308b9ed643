//! Ends what a benchmark has started together with the benchmark, however that ends.
//!
//! All programs of a benchmark are one process group. Its leader is a shell, the guard, that reads a pipe whose other
//! end the benchmark alone holds. The kernel closes the pipe with the benchmark, also after SIGKILL; the guard then
//! kills its group, and itself with it.
//!
//! A program that is being started when the benchmark ends is not missed: the kernel closes the pipe in the new process
//! when the program is executed, and by then the process is in the group. The group cannot be another one of the same
//! number, as its leader lives.

use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, raise};

use super::figures::Fault;

/// Puts what is about to be started into the group that ends with this process.
pub(crate) fn guard(command: &mut Command) -> Result<&mut Command, Fault> {
    static GUARD: OnceLock<Result<Child, Fault>> = OnceLock::new();
    match GUARD.get_or_init(start) {
        Ok(guard) => Ok(command.process_group(guard.id() as i32)),
        Err(fault) => Err(fault.clone()),
    }
}

/// Ends this process with SIGTERM when cargo, which has started it, ends before it.
///
/// Without cargo nothing happens: a benchmark that a shell has started may outlive the shell.
pub(crate) fn end_with_cargo() -> Result<(), Fault> {
    if std::env::var_os("CARGO").is_none() {
        return Ok(());
    }
    let parent = parent_id();
    set_pdeathsig(Signal::SIGTERM).map_err(Fault::of("asking for a signal at the end of cargo"))?;
    if parent_id() != parent {
        // It ended before the kernel knew that a signal was wanted.
        raise(Signal::SIGTERM).map_err(Fault::of("ending with cargo"))?;
    }
    Ok(())
}

/// The child keeps the benchmark's end of the pipe.
fn start() -> Result<Child, Fault> {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r line; kill -KILL 0"]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(Fault::of("starting the shell that ends programs with the benchmark"))
}
