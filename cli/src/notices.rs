//! The signals that do not end the program: those that reload, and those that are only logged.
//!
//! Each signal whose default action kills the process is handled here, in
//! [`signals`](crate::signals) or in [`restarter`](crate::restarter). Left to the default action
//! are:
//!
//! - SIGKILL and SIGSTOP, which cannot be handled;
//! - SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS and SIGTRAP: a fault, or a watchdog that
//!   asks for a core dump;
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

/// The handled signals. They are queued until [`start`](Notices::start).
pub(crate) struct Notices {
    signals: Signals,
}

impl Notices {
    /// Handles the signals from now on, instead of their default actions.
    pub(crate) fn install() -> io::Result<Notices> {
        let signals = [SIGHUP, SIGUSR1].iter().chain(TIMERS).chain(NOTED);
        let signals = Signals::new(signals)?;
        for signal in realtime() {
            // A tool around the process may reserve one, as valgrind does with the last. Such a
            // signal does not arrive here either way.
            let _ = signals.add_signal(signal);
        }
        Ok(Notices { signals })
    }

    /// Starts the thread that acts on them and ends with the process: a file that is slow to open
    /// delays these signals alone.
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
        _ => {
            tracing::warn!(signal = %name(signal), "this signal has no meaning here and is ignored")
        }
    }
}

/// The name of the signal, or its number.
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

/// Expired timers of a library or a profiler, up to a thousand a second. They are not logged: there
/// is nothing to do, and they would fill the log.
const TIMERS: &[i32] = &[SIGALRM, SIGPROF, SIGVTALRM];

/// Signals that mean nothing to the program. SIGXCPU and SIGXFSZ announce that a limit of the
/// process is reached: the write beyond the longest file fails with an error of its own, and the
/// hard limit on processor time kills as before.
#[cfg(target_os = "linux")]
const NOTED: &[i32] = &[SIGIO, SIGXCPU, SIGXFSZ, libc::SIGPWR, libc::SIGSTKFLT];
#[cfg(not(target_os = "linux"))]
const NOTED: &[i32] = &[SIGIO, SIGXCPU, SIGXFSZ];

#[cfg(target_os = "linux")]
const EXTRA_NAMES: &[(i32, &str)] =
    &[(libc::SIGPWR, "SIGPWR"), (libc::SIGSTKFLT, "SIGSTKFLT"), (signal::SIGIO, "SIGIO")];
#[cfg(not(target_os = "linux"))]
const EXTRA_NAMES: &[(i32, &str)] = &[(signal::SIGIO, "SIGIO")];

/// The realtime signals, without those that the C library reserves.
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
