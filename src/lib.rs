#![doc = include_str!("../README.md")]
//!
//! # Features
//!
//! - `export`: what runtimes and servers count, as Prometheus text and for recorders of `metrics`.
//! - `metrics` (default): counters and histograms; without it every figure is 0.
//! - `hyper`: services of hyper on a [`Server`], and `hyper::rt` traits for the sockets, an executor
//!   and a timer.

#![forbid(unsafe_code)]

#[cfg(feature = "export")]
pub use heist_net::export;
#[cfg(feature = "hyper")]
pub use heist_net::http;
pub use heist_net::{Builder, Runtime, Server, StartError, protocol, server};
pub use heist_reactor as reactor;
pub use heist_scheduler::{
    AbortHandle, EnterGuard, Handle, JoinError, JoinHandle, Metrics, PerWorker, ShutdownReport,
    WorkerMetrics, coop, metrics, spawn, spawn_blocking, time, yield_now,
};

/// Tasks: how to name, join and abort them, and how to call foreign code without unwinding.
pub mod task {
    pub use heist_scheduler::panics::{contain_hook, wake_all};
    pub use heist_scheduler::{AbortHandle, JoinError, JoinHandle, TaskBuilder as Builder};
}

/// Sockets, and what joins them to hyper.
pub mod net {
    pub use heist_net::{
        AcceptErrorKind, ConnectError, Driver, OwnedReadHalf, OwnedWriteHalf, ReadHalf, Socket,
        SocketListener, Stream, Target, TcpListener, TcpStream, TooLong, UnixListener, UnixStream,
        WriteHalf, accept_error_kind, family, resolve,
    };
    #[cfg(feature = "hyper")]
    pub use heist_net::{HyperExecutor, HyperTimer};
}
