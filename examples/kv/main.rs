//! A key-value server that speaks Redis's protocol: `redis-cli` and `redis-benchmark` drive it as
//! they are.
//!
//! ```sh
//! cargo run --release --example kv
//! redis-cli -p 6380 set greeting hello
//! redis-benchmark -p 6380 -q -P 16
//! ```
//!
//! Ctrl-C lets what is under way finish, for ten seconds.
//!
//! It has strings, counters, hashes, lists, sets and sorted sets, expiry, pipelining, transactions
//! (MULTI, WATCH), and both versions of the protocol. It has no blocking commands, no channels, no
//! scripts, and keeps nothing on disk.
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
//!
//! # Bounds
//!
//! A string has at most 8 MiB, a request 32 MiB and 65,536 strings, a transaction 32 MiB; whoever
//! sends more is told so and disconnected. Memory is taken for what has come, not for what a length
//! promises. A client that does not read its replies is not read from, and after five minutes not
//! waited for any more; replies that wait take 256 MiB for all clients together. The data itself has
//! no bound, as in Redis without `maxmemory`. A client may be silent as long as it likes, unless
//! `--timeout` says otherwise, as in Redis.

mod commands;
mod resp;
mod session;
mod shared;
mod store;

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use heist::Server;
use heist::protocol::{self, Sender};
use heist::server::{self, Address, ByInbox, Listener, Peer};
use heist::time::{Instant, sleep};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => error.exit(),
        Err(error) => {
            // The first line says what is wrong; the others repeat the usage.
            let text = error.to_string();
            let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            return refuse(&format!("{what} (--help lists the options)"));
        }
    };
    // What can fail for a reason of the user's comes first, before any thread.
    let listener = match Listener::bind(&options.listen) {
        Ok(listener) => listener,
        Err(error) => return refuse(&error.to_string()),
    };
    match run(&options, listener) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kv: {error}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(reason: &str) -> ExitCode {
    eprintln!("kv: {reason}");
    ExitCode::from(2)
}

fn run(options: &Options, listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let mut builder = heist::Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers.into());
    }
    let runtime = builder.start()?;
    let shared = Arc::new(Shared::new(runtime.handle().clock().now()));
    runtime.spawn(sweep(Arc::clone(&shared)));
    let make = move |peer: &Peer, connection: Sender<Infallible>| {
        let client = shared.clients.new_client(peer.clone(), connection);
        Session::new(Arc::clone(&shared), client)
    };
    let server = Server::builder()
        .name("kv")
        .listen(listener)
        .limits(server_limits())
        .serve(ByInbox::new(make).limits(client_limits(options.timeout)))
        .start_on(runtime.handle())?;
    greet(&server.addresses()[0])?;

    // The workers serve; this thread has nothing to do but wait.
    signals.forever().next();
    eprintln!("stopped: {}", server.drain_blocking(GRACE));
    Ok(())
}

fn greet(address: &Address) -> io::Result<()> {
    let hint = match address {
        Address::Tcp(address) => format!("redis-cli -p {}", address.port()),
        Address::Unix(path) => format!("redis-cli -s {}", path.display()),
        Address::Abstract(name) => {
            format!("socat - ABSTRACT-CONNECT:{}", String::from_utf8_lossy(name))
        }
    };
    writeln!(io::stdout(), "kv serving on {address}; try: {hint}")
}

/// What all clients together may take.
fn server_limits() -> server::Limits {
    server::Limits {
        // Clients of a store are a few machines with many connections each.
        per_address: usize::MAX,
        // Each connection is used for long: whether to take one more is no matter of how much there
        // is to do at this moment.
        shed: false,
        ..server::Limits::default()
    }
}

/// What one client may take.
///
/// The bounds that a server has by default are for clients that come, ask and go. Those of a store
/// keep their connections, and are slow for reasons of their own: somebody types a request, a
/// debugger has stopped the process. So what they send has no bound in time but `--timeout`.
fn client_limits(timeout: u32) -> protocol::Limits {
    let idle_timeout = match timeout {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds.into()),
    };
    protocol::Limits {
        idle_timeout,
        // `max_message` stays what it is, far below the longest request: `resp::LongRequest` takes
        // those in pieces, and each piece has this time.
        message_timeout: idle_timeout.max(PATIENCE),
        min_receive_rate: 0,
        // What waits is of a budget that all share, so it does not wait for ever.
        write_timeout: PATIENCE,
        min_send_rate: 0,
        flush_timeout: PATIENCE,
        // A client that is refused in the middle of a long request sees why only once it has sent
        // the rest, so that much is discarded before its connection is closed.
        linger_bytes: 32 * 1024 * 1024,
        linger_timeout: Duration::from_secs(30),
        ..protocol::Limits::default()
    }
}

/// Removes keys that have expired and that nobody asks for.
async fn sweep(shared: Arc<Shared>) {
    loop {
        sleep(Duration::from_millis(100)).await;
        while shared.store.sweep(Instant::now()) {
            // Thousands expired at once: others take their turns in between.
            heist::yield_now().await;
        }
    }
}

/// How long a client may take none of its replies, or have a request half sent where there is any
/// such bound.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long what is under way may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);
