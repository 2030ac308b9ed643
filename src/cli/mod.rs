//! The command line: what happens from the first argument to the exit code.

mod app;
mod body;
mod connections;
mod drain;
#[allow(dead_code, unused_imports, reason = "not called from `serve` yet; its tests call it")]
mod handover;
mod listen;
mod logging;
mod metrics;
#[allow(dead_code, reason = "not called from `serve` yet; its tests call it")]
mod notify;
mod options;
mod peer;
mod routes;
mod server;
mod signals;
mod tally;
#[cfg(test)]
mod testing;
mod units;
mod upload;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use heist::Runtime;

use app::App;
use listen::{BindError, Listener};
use logging::{FilterError, Logging};
use options::Options;
use signals::{Signals, Stop};

/// Runs the program and says how it ended: 0 after an orderly stop, 1 when serving became
/// impossible, 2 when it could not begin as it was told to.
pub(crate) fn main() -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(refusal) => return refusal.print(),
    };
    match serve(&options) {
        Ok(Stop::Signal) => ExitCode::SUCCESS,
        Ok(Stop::ListenerFailed) => ExitCode::from(1),
        Err(error) => {
            complain(&error);
            ExitCode::from(error.code())
        }
    }
}

/// Serves until a signal comes.
///
/// Nothing that can fail for a reason of the user's comes after the first thread.
fn serve(options: &Options) -> Result<Stop, ServeError> {
    let filter = logging::filter()?;
    let descriptors = raise_descriptor_limit();
    let listeners = Listener::bind_all(&options.listen)?;
    let (signals, stopper) = Signals::install().map_err(ServeError::Signals)?;
    let stopper = Arc::new(stopper);

    let logging = Logging::start(filter, options.log_format);
    let runtime = runtime(options)?;
    let app = App::new(options, runtime.handle().clone(), descriptors, logging.dropped_lines());
    let listening =
        server::start(&runtime, &app, listeners, &stopper).map_err(ServeError::Listen)?;
    announce(options, &listening.addresses, &runtime);

    let stop = signals.wait();
    tracing::info!(grace = ?options.grace, "draining");
    let report = app.connections.drain(options.grace);
    // Ends the connections that are to be cut, too.
    let left = runtime.shutdown(CUT_TIME);
    drop(listening);
    let dropped_lines = logging.end();
    say(format_args!("heist stopped: {report}; {dropped_lines} log lines dropped"));
    if left.threads_left > 0 {
        complain(format_args!("{} threads did not end in {CUT_TIME:?}", left.threads_left));
    }
    Ok(stop)
}

fn runtime(options: &Options) -> Result<Runtime, heist::StartError> {
    let builder = heist::Builder::new();
    match options.workers {
        Some(workers) => builder.workers(workers.get()).start(),
        None => builder.start(),
    }
}

/// Raises the soft limit on descriptors to the hard one, and returns what it now is.
///
/// Every connection is a descriptor, and the soft limit is low for the sake of programs that use
/// `select`. Where it cannot be raised, what there is has to do.
fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Says what to open.
fn announce(options: &Options, addresses: &[listen::Address], runtime: &Runtime) {
    let urls: Vec<_> = addresses.iter().map(listen::Address::url).collect();
    let workers = match runtime.handle().workers() {
        1 => "1 worker".to_owned(),
        workers => format!("{workers} workers"),
    };
    let curl = addresses.first().map_or_else(String::new, listen::Address::curl);
    say(format_args!("heist serving on {} ({workers}); try: {curl}", urls.join(", ")));
    tracing::info!(?addresses, max_body = options.max_body, "serving");
}

/// Writes a line to standard output. If nobody reads that, the server goes on without.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line to standard error. If nobody reads that, there is nobody left to tell.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "heist: {line}");
}

/// Why serving did not begin.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    #[error("cannot start: {0}")]
    Start(#[from] heist::StartError),
    #[error("cannot watch a listening socket: {0}")]
    Listen(io::Error),
}

impl ServeError {
    /// 2 for what the user can put right in the command, the environment or the address.
    fn code(&self) -> u8 {
        match self {
            ServeError::Filter(_) | ServeError::Bind(_) | ServeError::Start(_) => 2,
            ServeError::Signals(_) | ServeError::Listen(_) => 1,
        }
    }
}

/// How long the threads may take to drop what was cut.
const CUT_TIME: Duration = Duration::from_secs(5);
