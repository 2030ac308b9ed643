//! A key-value server that speaks Redis's protocol: `redis-cli` and `redis-benchmark` drive it as
//! they are.
//!
//! ```sh
//! cargo run --release --example kv
//! redis-cli -p 6380 set greeting hello
//! redis-benchmark -p 6380 -q -P 16
//! ```
//!
//! It has the commands of the table in `commands/table.rs`, each exactly as Redis 7.0 does it, and
//! refuses all others. It keeps nothing on disk. Ctrl-C lets what is under way finish.
//!
//! What it shows of heist, from the outside in:
//!
//! - this file: a [`Server`], which of its bounds fit clients that keep their connections, and a
//!   task that works beside it;
//! - `session`: a connection as a [`Protocol`](heist::protocol::Protocol). The engine calls it once
//!   for each request and sends the replies of a whole pipeline at once, and nothing here knows of
//!   sockets, buffers or workers;
//! - `resp`: the requests, as slices of the engine's buffer; long ones taken in pieces;
//! - `store`: data that all workers share, and **what is atomic**;
//! - `commands`: a table, and a module for each kind of value.

mod commands;
mod resp;
mod session;
mod shared;
mod store;

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use heist::Server;
use heist::protocol::{self, Sender};
use heist::server::{self, Address, ByInbox, Listener, Peer};
use heist::time::{Instant, sleep};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::resp::{MAX_LINE, MAX_STRING};
use crate::session::Session;
use crate::shared::Shared;

/// A key-value server that speaks Redis's protocol
#[derive(Parser)]
#[command(name = "kv")]
struct Options {
    /// Where to listen: IP:PORT, of which port 0 lets the system choose, or unix:PATH
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6380")]
    listen: Address,
    /// How many workers; as many as there are CPUs unless given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// How long a client may be silent; 0 for ever
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    timeout: u32,
    /// The most memory for replies that clients have not read, and again for requests that have
    /// not run yet: long ones that come in pieces, and those between MULTI and EXEC
    #[arg(long, value_name = "MIB", default_value = "1024")]
    memory: u32,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // What can fail for a reason of the user's comes first, before any thread.
    let served = match Listener::bind(&options.listen) {
        Ok(listener) => serve(&options, listener),
        Err(error) => {
            complain(format_args!("kv: {error}"));
            return ExitCode::from(2);
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("kv: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// As `eprintln!`, which panics where that cannot be written.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn serve(options: &Options, listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let mut builder = heist::Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers.into());
    }
    let runtime = builder.start()?;
    let memory = options.memory as usize * 1024 * 1024;
    let shared = Arc::new(Shared::new(memory, runtime.handle().clock().now()));
    runtime.spawn(sweep(Arc::clone(&shared)));
    let make =
        move |peer: &Peer, _: Sender<Infallible>| Session::new(Arc::clone(&shared), peer.clone());
    let server = Server::builder()
        .name("kv")
        .listen(listener)
        .limits(server_limits(memory))
        .serve(ByInbox::new(make).limits(client_limits(options.timeout, memory)))
        .start_on(runtime.handle())?;
    greet(&server.addresses()[0])?;

    // The workers serve; this thread has nothing to do but wait.
    signals.forever().next();
    complain(format_args!("stopped: {}", server.drain_blocking(GRACE)));
    Ok(())
}

fn greet(address: &Address) -> io::Result<()> {
    let hint = match address {
        Address::Tcp(address) => format!("redis-cli -p {}", address.port()),
        Address::Unix(path) => format!("redis-cli -s {}", path.display()),
        Address::Abstract(name) => format!("socat - ABSTRACT-CONNECT:{}", name.escape_ascii()),
    };
    writeln!(io::stdout(), "kv serving on {address}; try: {hint}")
}

/// What all clients together may take. They are a few machines with many connections each, which
/// are used for long: a new one is no matter of how much there is to do at this moment.
fn server_limits(memory: usize) -> server::Limits {
    server::Limits {
        per_address: usize::MAX,
        shed: false,
        buffered_bytes: memory,
        ..server::Limits::default()
    }
}

/// What one client may take. The defaults are for clients that come, ask and go. Those of a store
/// stay, and are slow for reasons of their own: a person types a request, a debugger has stopped the
/// process. So what they send has no bound in time but `--timeout`.
fn client_limits(timeout: u32, memory: usize) -> protocol::Limits {
    let idle_timeout = match timeout {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds.into()),
    };
    protocol::Limits {
        idle_timeout,
        // A client that sends its whole pipeline before it reads a reply must not wait for itself.
        high_watermark: memory / 4,
        low_watermark: memory / 8,
        // `resp::LongRequest` takes longer requests in pieces. A line that is too long has to be
        // seen, to be refused with a reply.
        max_message: MAX_LINE + 2,
        message_timeout: idle_timeout.max(PATIENCE),
        min_receive_rate: 0,
        // Replies that wait are charged to all, so they do not wait for ever.
        write_timeout: PATIENCE,
        min_send_rate: 0,
        flush_timeout: PATIENCE,
        // A client that is refused in the middle of a long request sees why only once it has sent
        // the rest, so that much is discarded before its connection is closed.
        linger_bytes: MAX_STRING,
        linger_timeout: Duration::from_secs(30),
        ..protocol::Limits::default()
    }
}

/// Removes expired keys that no command asks for.
async fn sweep(shared: Arc<Shared>) {
    loop {
        sleep(Duration::from_millis(100)).await;
        while shared.store.sweep(Instant::now()) {
            // Thousands expired at once: other tasks run in between.
            heist::yield_now().await;
        }
    }
}

/// How long a client may take none of its replies.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long what is under way may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);
