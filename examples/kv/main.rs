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
//! refuses all others. It keeps nothing on disk. Ctrl-C lets requests under way finish.
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
#[path = "../common/program.rs"]
mod program;
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
use heist::Server;
use heist::protocol::{self, Sender};
use heist::server::{self, Address, Listener, Peer};
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
    /// Listen on IP:PORT or unix:PATH; for port 0 the system chooses one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6380")]
    listen: Address,
    /// Number of workers; as many as CPUs if not given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Longest time between two requests of a client; 0 for no bound
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    timeout: u32,
    /// The most memory for replies that clients have not read, and again for requests that have
    /// not run yet: long ones that come in pieces, and those between MULTI and EXEC
    #[arg(long, value_name = "MIB", default_value = "1024")]
    memory: u32,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let listener = Listener::bind(&options.listen);
    program::run("kv", listener, |listener| serve(&options, listener))
}

fn serve(options: &Options, listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let runtime = program::runtime(options.workers)?;
    let memory = options.memory as usize * 1024 * 1024;
    let shared = Arc::new(Shared::new(memory, runtime.handle().clock().now()));
    runtime.spawn(sweep(Arc::clone(&shared)));
    let make =
        move |peer: &Peer, _: Sender<Infallible>| Session::new(Arc::clone(&shared), peer.clone());
    let server = Server::builder()
        .name("kv")
        .listen(listener)
        .limits(server_limits(memory))
        .protocol_with_inbox(make)
        .connection_limits(client_limits(options.timeout, memory))
        .start_on(runtime.handle())?;
    greet(&server.addresses()[0])?;

    // The workers serve; this thread only waits.
    signals.forever().next();
    program::drain(&server, GRACE);
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

/// The bounds of all clients together. These are a few machines with many long-lived connections
/// each, so a new connection says nothing about the load, and none is refused for it.
fn server_limits(memory: usize) -> server::Limits {
    server::Limits {
        per_address: usize::MAX,
        shed: false,
        buffered_bytes: memory,
        ..server::Limits::default()
    }
}

/// The bounds of one client. The defaults are for short connections. Clients of a store keep
/// theirs, and may be slow for good reasons: a request is typed by hand, a debugger has stopped the
/// process. So `--timeout` is the only bound on the time of their requests.
fn client_limits(timeout: u32, memory: usize) -> protocol::Limits {
    let idle_timeout = match timeout {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds.into()),
    };
    protocol::Limits {
        idle_timeout,
        // A client that sends its whole pipeline before it reads a reply must not block itself.
        high_watermark: memory / 4,
        low_watermark: memory / 8,
        // `resp::LongRequest` takes longer requests in pieces. A line that is too long must fit, to
        // be refused with a reply.
        max_message: MAX_LINE + 2,
        message_timeout: idle_timeout.max(PATIENCE),
        min_receive_rate: 0,
        // Waiting replies use memory that all clients share, so they do not wait for ever.
        write_timeout: PATIENCE,
        min_send_rate: 0,
        flush_timeout: PATIENCE,
        // A client that is refused in the middle of a long request reads the reply only after it
        // has sent the rest, so that much is discarded before its connection is closed.
        linger_bytes: MAX_STRING,
        linger_timeout: Duration::from_secs(30),
        ..protocol::Limits::default()
    }
}

/// Removes expired keys that no command uses.
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

/// How long requests under way may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);
