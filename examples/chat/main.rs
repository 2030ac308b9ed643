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
//! - this file: a [`Server`], and which of its bounds fit people who may be silent for long;
//! - `session`: one person's connection as a [`Protocol`](heist::protocol::Protocol): lines in,
//!   lines out, **back-pressure** for a person that says too much, and what becomes of a reader that
//!   is too slow;
//! - `command`: what a person can ask for. `share`: that no person has the room alone;
//! - `room`: **how one line reaches thousands**: in one shared piece of memory, a few receivers at a
//!   time, each woken once however many lines have gathered;
//! - `hall`: all people and all rooms.
//!
//! # Bounds
//!
//! A person may say `--share` lines in a second. One that says more is told so, once until its share
//! is whole again. Its lines are taken as the share allows, and wait in its connection until then:
//! none is lost, and the other people do not wait for them. A line has at most 1,000 bytes before its LF or CRLF.
//!
//! A room takes 16 KiB of lines that were not delivered yet. A person that has one more to say waits
//! until these are on their way.
//!
//! Each person costs at most 16 KiB of output and one delivery more, 128 messages, which share their
//! text, 32 KiB of input, and 96 KiB in the buffers of its socket. A person that leaves 16 KiB
//! unread for `--patience` seconds is told, and has as long again to take the word; the others do
//! not wait. A person that neither says nor hears anything for `--idle` seconds is dropped. Another
//! machine may have 256 connections.

mod command;
mod hall;
mod room;
mod session;
mod share;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use heist::Server;
use heist::protocol::{self, Sender};
use heist::server::{self, ByInbox, Listener, Peer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::{Domain, Socket, Type};

use crate::hall::Hall;
use crate::room::Word;
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
    /// How many lines each person may say in a second
    #[arg(long, value_name = "LINES", default_value = "50",
          value_parser = clap::value_parser!(u32).range(1..))]
    share: u32,
    /// How long a person may stay that neither says nor hears anything
    #[arg(long, value_name = "SECONDS", default_value = "3600",
          value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
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
    raise_descriptor_limit();
    // What can fail for a reason of the user's comes first, before any thread.
    let listener = match listen(options.listen) {
        Ok(listener) => listener,
        Err(error) => return refuse(&format!("cannot listen on {}: {error}", options.listen)),
    };
    match run(&options, listener) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("chat: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn refuse(reason: &str) -> ExitCode {
    complain(format_args!("chat: {reason}"));
    ExitCode::from(2)
}

/// As `eprintln!`, which panics where that cannot be written.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn run(options: &Options, listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let mut builder = heist::Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers.into());
    }
    let runtime = builder.start()?;
    let hall = Arc::new(Hall::new(options.max_people, options.patience(), options.share));
    let make = {
        let hall = Arc::clone(&hall);
        move |_: &Peer, inbox: Sender<Word>| Session::new(Arc::clone(&hall), inbox)
    };
    let server = Server::builder()
        .name("chat")
        .listen(listener)
        .limits(server_limits(options))
        .serve(ByInbox::new(make).limits(person_limits(options)))
        .start_on(runtime.handle())?;
    greet(&server).map_err(|error| format!("cannot write to standard output: {error}"))?;

    // The workers serve; this thread has nothing to do but wait.
    signals.forever().next();
    // Also people in the middle of a line, for which the drain would wait.
    hall.close();
    complain(format_args!("stopped: {}", server.drain_blocking(GRACE)));
    Ok(())
}

/// A listener whose connections have small buffers, which they inherit: what the system keeps for a
/// slow reader, and of a person that says too much, is memory too, and by itself it would be megabytes.
fn listen(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    // The system doubles them, to have room for its own notes.
    socket.set_send_buffer_size(32 * 1024)?;
    socket.set_recv_buffer_size(16 * 1024)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Listener::from_fd(socket.into())
}

fn greet(server: &Server) -> io::Result<()> {
    let server::Address::Tcp(address) = &server.addresses()[0] else {
        unreachable!("it listens on a port");
    };
    let (ip, port) = (address.ip(), address.port());
    writeln!(io::stdout(), "chat serving on {address}; try: nc {ip} {port}")
}

impl Options {
    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.into())
    }
}

/// What all people together may cost.
fn server_limits(options: &Options) -> server::Limits {
    // One that is too many has to be let in to be told so.
    let connections = options.max_people.saturating_add(AT_THE_DOOR);
    server::Limits {
        connections,
        // What each may keep waiting is bounded already.
        buffered_bytes: connections.saturating_mul(MOST_KEPT),
        // A person that comes while there is much to do waits a little: the ones that are here talk.
        shed: false,
        ..server::Limits::default()
    }
}

/// What one person may cost.
///
/// The bounds that a server has by default are for machines at both ends. People think while they
/// type and are silent for long, so only those bounds are left that have a flag.
fn person_limits(options: &Options) -> protocol::Limits {
    let patience = options.patience();
    // The session's own patience begins when 16 KiB wait, and at its end it says a word, which the
    // engine does not. So the engine leaves it the time, and is there for readers that stand still
    // with less.
    let write_timeout = 2 * patience;
    // Nor does a patience that is long end by this one.
    let idle_timeout = Duration::from_secs(options.idle.into()).max(write_timeout);
    protocol::Limits {
        high_watermark: 16 * 1024,
        low_watermark: 4 * 1024,
        inbox: 128,
        idle_timeout,
        // A line that is half typed costs no more than one that is not begun.
        message_timeout: idle_timeout,
        min_receive_rate: 0,
        write_timeout,
        min_send_rate: 0,
        flush_timeout: patience,
        ..protocol::Limits::default()
    }
}

/// Each person is a descriptor, and the soft limit is low for the sake of programs that use
/// `select`. Where it cannot be raised, what there is has to do.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// How long the last words may take.
const GRACE: Duration = Duration::from_secs(5);

/// How many may be there to be told that the chat is full.
const AT_THE_DOOR: usize = 64;

/// The most that the server keeps for one person: the output that may wait and one delivery more, in
/// a buffer that doubles, and input that was read at once and waits.
const MOST_KEPT: usize = 96 * 1024;
