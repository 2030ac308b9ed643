//! A key-value server that speaks Redis's protocol: `redis-cli` and `redis-benchmark` drive it as
//! they are.
//!
//! ```sh
//! cargo run --release --example kv
//! redis-cli -p 6380 set greeting hello
//! redis-benchmark -p 6380 -q -P 16
//! ```
//!
//! It has strings, counters, hashes, lists, sets and sorted sets, expiry, pipelining, transactions
//! (MULTI, WATCH), and both versions of the protocol. It has no blocking commands, no channels, no
//! scripts, and keeps nothing on disk.
//!
//! What it shows of heist, from the outside in:
//!
//! - this file: a listener, a task for each connection, and one that works beside them;
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
//! promises. A client that does not read its replies is not read from. The data itself has no
//! bound, as in Redis without `maxmemory`.

mod commands;
mod resp;
mod server;
mod session;
mod store;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use heist::net::{AcceptErrorKind, TcpListener, TcpStream, accept_error_kind};
use heist::protocol::Connection;
use heist::time::{Instant, sleep};

use crate::server::Server;
use crate::session::Session;

/// A key-value server that speaks Redis's protocol
#[derive(Parser)]
#[command(name = "kv")]
struct Options {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6380")]
    listen: SocketAddr,
    /// How many workers; as many as there are CPUs unless given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
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
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(reason: &str) -> ExitCode {
    eprintln!("kv: {reason}");
    ExitCode::from(2)
}

fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = heist::Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers.into());
    }
    let runtime = builder.start()?;
    let address = options.listen;
    // A task, not the future of `block_on`: so it runs on a worker, as those it spawns do.
    let serving = runtime.spawn(async move {
        let listener = TcpListener::bind(address).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        greet(listener.local_addr()?)?;
        let server = Arc::new(Server::new(Instant::now()));
        heist::spawn(sweep(Arc::clone(&server)));
        serve(&listener, &server).await
    });
    Ok(runtime.block_on(serving)??)
}

fn greet(address: SocketAddr) -> io::Result<()> {
    let port = address.port();
    writeln!(io::stdout(), "kv serving on {address}; try: redis-cli -p {port}")
}

async fn serve(listener: &TcpListener, server: &Arc<Server>) -> io::Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => open(stream, peer, server),
            Err(error) => match accept_error_kind(&error) {
                AcceptErrorKind::Connection => {}
                // Out of descriptors: those who wait are served when others have gone.
                AcceptErrorKind::Exhausted => sleep(Duration::from_millis(50)).await,
                AcceptErrorKind::Fatal => return Err(error),
            },
        }
    }
}

fn open(stream: TcpStream, peer: SocketAddr, server: &Arc<Server>) {
    let client = server.clients.new_client(peer);
    let session = Session::new(Arc::clone(server), Arc::clone(&client));
    let mut connection = Connection::new(stream, session).limits(Arc::clone(&server.limits));
    server.clients.insert(client, connection.inbox());
    heist::spawn(connection);
}

/// Removes keys that have expired and that nobody asks for.
async fn sweep(server: Arc<Server>) {
    loop {
        sleep(Duration::from_millis(100)).await;
        while server.store.sweep(Instant::now()) {
            // Thousands expired at once: others take their turns in between.
            heist::yield_now().await;
        }
    }
}
