//! A chat for thousands, to be used with netcat:
//!
//! ```sh
//! cargo run --release --example chat
//! nc 127.0.0.1 7100                       # in as many terminals as you like
//! ```
//!
//! Whatever you type is said to your room; `/help` lists the rest.
//!
//! What it shows of heist, from the outside in:
//!
//! - this file: a listener, a task for each connection, and how a connection's inbox gets to others;
//! - `session`: one person's connection as a [`Protocol`](heist::protocol::Protocol): lines in,
//!   lines out, and what becomes of a reader who is too slow;
//! - `room`: **how one line reaches thousands**: in one shared piece of memory, a few receivers at a
//!   time, each woken once however many lines have gathered;
//! - `hall`: who is there, and which rooms.
//!
//! # Bounds
//!
//! Each person costs at most 16 KiB of output, 32 messages, which share their text, and a socket's
//! buffer of 64 KiB. Who does not read that much for `--patience` seconds is told, and dropped; the
//! others do not wait. A room takes 16 KiB of lines that were not delivered yet; what is said beyond
//! that is refused with a line to whoever said it.

mod hall;
mod room;
mod session;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use heist::net::{AcceptErrorKind, TcpListener, TcpStream, accept_error_kind};
use heist::protocol::{Connection, Limits};
use heist::time::sleep;
use socket2::{Domain, Socket, Type};

use crate::hall::Hall;
use crate::room::Person;
use crate::session::Session;

/// A chat for thousands, to be used with netcat
#[derive(Parser)]
#[command(name = "chat")]
struct Options {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7100")]
    listen: SocketAddr,
    /// How many workers; as many as there are CPUs unless given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// How long a reader may take for what waits for it before it is dropped
    #[arg(long, value_name = "SECONDS", default_value = "10",
          value_parser = clap::value_parser!(u16).range(1..))]
    patience: u16,
    /// How many people there may be
    #[arg(long, value_name = "COUNT", default_value = "10000")]
    max_people: usize,
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
    eprintln!("chat: {reason}");
    ExitCode::from(2)
}

fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = heist::Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers.into());
    }
    let runtime = builder.start()?;
    let address = options.listen;
    let patience = Duration::from_secs(options.patience.into());
    let hall = Arc::new(Hall::new(options.max_people, patience));
    // A task, not the future of `block_on`: so it runs on a worker, as those it spawns do.
    let serving = runtime.spawn(async move {
        let listener = listen(address).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        greet(listener.local_addr()?)?;
        serve(&listener, &hall).await
    });
    Ok(runtime.block_on(serving)??)
}

/// A listener whose connections have small send buffers, which they inherit: what the system keeps
/// for a slow reader is memory too, and by itself it would be megabytes.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    // The system doubles it, to have room for its own notes.
    socket.set_send_buffer_size(32 * 1024)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    TcpListener::from_std(socket.into())
}

fn greet(address: SocketAddr) -> io::Result<()> {
    let (ip, port) = (address.ip(), address.port());
    writeln!(io::stdout(), "chat serving on {address}; try: nc {ip} {port}")
}

async fn serve(listener: &TcpListener, hall: &Arc<Hall>) -> io::Result<()> {
    let limits = Arc::new(limits(hall.patience));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open(stream, hall, &limits),
            Err(error) => match accept_error_kind(&error) {
                AcceptErrorKind::Connection => {}
                // Out of descriptors: those who wait are served when others have gone.
                AcceptErrorKind::Exhausted => sleep(Duration::from_millis(50)).await,
                AcceptErrorKind::Fatal => return Err(error),
            },
        }
    }
}

fn open(stream: TcpStream, hall: &Arc<Hall>, limits: &Arc<Limits>) {
    let person = Arc::new(Person::default());
    let session = Session::new(Arc::clone(hall), Arc::clone(&person));
    let mut connection = Connection::new(stream, session).limits(Arc::clone(limits));
    person.reach_by(connection.inbox());
    heist::spawn(connection);
}

/// What one person may cost.
fn limits(patience: Duration) -> Limits {
    Limits {
        high_watermark: 16 * 1024,
        low_watermark: 4 * 1024,
        inbox: 32,
        flush_timeout: patience,
        ..Limits::default()
    }
}
