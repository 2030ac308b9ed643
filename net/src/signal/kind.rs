//! Which signal.

use signal_hook::consts;

/// Which signal; see [`signal`](super::signal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// The signal of this number, such as a realtime signal.
    ///
    /// [`signal`](super::signal) refuses numbers that no signal has, and signals that have no handler.
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// The number of the signal.
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }

    /// SIGALRM: a timer of the process has expired. By default it ends the process.
    pub const fn alarm() -> SignalKind {
        SignalKind(consts::SIGALRM)
    }

    /// SIGCHLD: the state of a child has changed. By default it is ignored.
    pub const fn child() -> SignalKind {
        SignalKind(consts::SIGCHLD)
    }

    /// SIGHUP: the terminal is gone; by convention a server reads its configuration again. By default
    /// it ends the process.
    pub const fn hangup() -> SignalKind {
        SignalKind(consts::SIGHUP)
    }

    /// SIGINT: Ctrl-C in the terminal. By default it ends the process.
    pub const fn interrupt() -> SignalKind {
        SignalKind(consts::SIGINT)
    }

    /// SIGIO: I/O is possible on a descriptor. By default it ends the process.
    pub const fn io() -> SignalKind {
        SignalKind(consts::SIGIO)
    }

    /// SIGPIPE: a write to a pipe that nothing reads. Rust's start-up code ignores it.
    pub const fn pipe() -> SignalKind {
        SignalKind(consts::SIGPIPE)
    }

    /// SIGQUIT: Ctrl-\ in the terminal. By default it ends the process with a core dump.
    pub const fn quit() -> SignalKind {
        SignalKind(consts::SIGQUIT)
    }

    /// SIGTERM: the process is to end, as service managers and `kill` ask for it. By default it ends the
    /// process.
    pub const fn terminate() -> SignalKind {
        SignalKind(consts::SIGTERM)
    }

    /// SIGUSR1: what the program makes of it. By default it ends the process.
    pub const fn user_defined1() -> SignalKind {
        SignalKind(consts::SIGUSR1)
    }

    /// SIGUSR2: what the program makes of it. By default it ends the process.
    pub const fn user_defined2() -> SignalKind {
        SignalKind(consts::SIGUSR2)
    }

    /// SIGWINCH: the size of the terminal has changed. By default it is ignored.
    pub const fn window_change() -> SignalKind {
        SignalKind(consts::SIGWINCH)
    }

    /// Whether it can be handled by returning from a handler.
    pub(super) fn has_handler(self) -> bool {
        !consts::FORBIDDEN.contains(&self.0)
    }
}

impl From<i32> for SignalKind {
    fn from(number: i32) -> SignalKind {
        SignalKind(number)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> i32 {
        kind.0
    }
}
