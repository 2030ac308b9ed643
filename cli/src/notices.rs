//! The signals that do not end the program: those that reload, and those that are only noted.
//!
//! Each signal whose default action is to kill the process is taken over here, in
//! [`signals`](crate::signals) or in [`relay`](crate::relay). Left to the default action are:
//!
//! - SIGKILL and SIGSTOP, which cannot be taken over;
//! - SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS and SIGTRAP: a fault, or a watchdog that wants
//!   a core dump of the process as it is;
//! - those that stop the process, and those that do nothing.
//!
//! SIGPIPE is ignored by Rust's start-up code; a write to a closed pipe is an error instead.

use std::io;
use std::thread;

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGIO, SIGPROF, SIGUSR1, SIGVTALRM, SIGXCPU, SIGXFSZ, signal,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::reload::Reloads;

/// The signals, taken over. They wait for [`start`](Notices::start).
pub(crate) struct Notices {
    signals: Signals,
}

impl Notices {
    /// Takes the signals over.
    pub(crate) fn install() -> io::Result<Notices> {
        let signals = [SIGHUP, SIGUSR1].iter().chain(TIMERS).chain(NOTED);
        let signals = Signals::new(signals)?;
        for signal in realtime() {
            // What the process runs under may keep some for itself, as valgrind does with the last
            // one. Such a signal does not get here either way.
            let _ = signals.add_signal(signal);
        }
        Ok(Notices { signals })
    }

    /// Begins to act on them, on a thread that ends with the process: a file that is slow to open
    /// holds up no other signal than these.
    pub(crate) fn start(mut self, reloads: Reloads) -> io::Result<()> {
        let run = move || self.signals.forever().for_each(|signal| act(signal, &reloads));
        thread::Builder::new().name("heist-signals".to_owned()).spawn(run).map(drop)
    }
}

fn act(signal: i32, reloads: &Reloads) {
    match signal {
        SIGHUP => reloads.run_all(),
        SIGUSR1 => reloads.run_log_files(),
        timer if TIMERS.contains(&timer) => {}
        _ => tracing::warn!(signal = %name(signal), "a signal without a meaning here: serving on"),
    }
}

/// What the signal is called, or its number.
fn name(signal: i32) -> String {
    let extra = EXTRA_NAMES.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name);
    match signal_name(signal).or(extra) {
        Some(name) => name.to_owned(),
        None if realtime().contains(&signal) => {
            format!("SIGRTMIN+{}", signal - *realtime().start())
        }
        None => signal.to_string(),
    }
}

/// Expired timers of a library or a profiler, which may come a thousand times a second. Nothing is
/// said of them: there is nothing to do, and the log would be full of it.
const TIMERS: &[i32] = &[SIGALRM, SIGPROF, SIGVTALRM];

/// What the kernel or an operator says, and the program has no use for. SIGXCPU and SIGXFSZ announce
/// that a limit of the process is reached: the write beyond the longest file fails with an error of
/// its own, and the hard limit on processor time kills as before.
#[cfg(target_os = "linux")]
const NOTED: &[i32] = &[SIGIO, SIGXCPU, SIGXFSZ, libc::SIGPWR, libc::SIGSTKFLT];
#[cfg(not(target_os = "linux"))]
const NOTED: &[i32] = &[SIGIO, SIGXCPU, SIGXFSZ];

#[cfg(target_os = "linux")]
const EXTRA_NAMES: &[(i32, &str)] =
    &[(libc::SIGPWR, "SIGPWR"), (libc::SIGSTKFLT, "SIGSTKFLT"), (signal::SIGIO, "SIGIO")];
#[cfg(not(target_os = "linux"))]
const EXTRA_NAMES: &[(i32, &str)] = &[(signal::SIGIO, "SIGIO")];

/// The realtime signals, but for those that the C library keeps for itself.
#[cfg(target_os = "linux")]
fn realtime() -> std::ops::RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Without realtime signals: an empty range.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::reversed_empty_ranges, reason = "there are none")]
fn realtime() -> std::ops::RangeInclusive<i32> {
    1..=0
}
