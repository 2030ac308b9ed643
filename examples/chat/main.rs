//! A chat for thousands of people with netcat:
//!
//! ```sh
//! cargo run --release --example chat
//! nc 127.0.0.1 7100                       # in several terminals
//! ```
//!
//! Each line goes to all people in a room; `/help` lists the commands.
//!
//! What it shows of heist, from the outside in:
//!
//! - this file: a [`Server`], and bounds that allow long silence;
//! - `session`: one person's connection as a [`Protocol`](heist::protocol::Protocol): lines in,
//!   lines out, **back-pressure** for a person that writes too much, and the end of a reader that
//!   is too slow;
//! - `command`: the commands. `share`: the rate that each person may use;
//! - `room`: **how one line reaches thousands**: in one shared piece of memory, a few receivers at
//!   a time, each woken once however many lines have gathered;
//! - `hall`: all people and all rooms.
//!
//! # Bounds
//!
//! A person may post `--share` lines a second. One that posts more gets a warning, at most one
//! until its share is whole again. Its lines are taken as the share allows, and wait in its
//! connection until then: none is lost, and the other people do not wait for them. A line has at
//! most 1,000 bytes before its LF or CRLF.
//!
//! A room takes 16 KiB of lines that are not delivered yet. Further lines wait in their connections
//! until these are on their way.
//!
//! Each person costs at most 16 KiB of output and one delivery more, 128 messages, which share
//! their text, 32 KiB of input, and 96 KiB in the buffers of its socket. A person that leaves 16
//! KiB unread for `--patience` seconds gets a last message, and is dropped after as long again; the
//! others do not wait. A person that neither sends nor receives anything for `--idle` seconds is
//! told so and dropped. Another machine may have 256 connections.

mod command;
mod hall;
#[path = "../common/program.rs"]
mod program;
mod room;
mod session;
mod share;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use heist::Server;
use heist::protocol::{self, Sender};
use heist::server::{self, Listener, Peer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::{Domain, Socket, Type};

use crate::hall::Hall;
use crate::room::Message;
use crate::session::Session;

/// A chat for thousands of people with netcat
#[derive(Parser)]
#[command(name = "chat")]
struct Options {
    /// Listen on this address; for port 0 the system chooses one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7100")]
    listen: SocketAddr,
    /// Number of workers; as many as CPUs if not given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// How long a reader may leave its output waiting before it is dropped
    #[arg(long, value_name = "SECONDS", default_value = "10",
          value_parser = clap::value_parser!(u16).range(1..))]
    patience: u16,
    /// How many lines each person may post a second
    #[arg(long, value_name = "LINES", default_value = "50",
          value_parser = clap::value_parser!(u32).range(1..))]
    share: u32,
    /// How long a person may neither send nor receive anything
    #[arg(long, value_name = "SECONDS", default_value = "3600",
          value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// The highest number of people
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
            program::eprint(format_args!("chat: {what} (--help lists the options)"));
            return ExitCode::from(2);
        }
    };
    raise_descriptor_limit();
    let listener = listen(options.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", options.listen));
    program::run("chat", listener, |listener| serve(&options, listener))
}

fn serve(options: &Options, listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let runtime = program::runtime(options.workers)?;
    let hall = Arc::new(Hall::new(options.max_people, options.patience(), options.share));
    let make = {
        let hall = Arc::clone(&hall);
        move |_: &Peer, inbox: Sender<Message>| Session::new(Arc::clone(&hall), inbox)
    };
    let server = Server::builder()
        .name("chat")
        .listen(listener)
        .limits(server_limits(options))
        .protocol_with_inbox(make)
        .connection_limits(person_limits(options))
        .start_on(runtime.handle())?;
    greet(&server).map_err(|error| format!("cannot write to standard output: {error}"))?;

    // The workers serve; this thread only waits.
    signals.forever().next();
    // Ends all sessions, also those in the middle of a line, which the drain would wait for.
    hall.close();
    program::drain(&server, GRACE);
    Ok(())
}

/// A listener whose connections inherit small socket buffers: what the system buffers for a slow
/// reader, and of a fast writer, is memory too, and by default it is megabytes.
fn listen(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    // The system doubles them, for its own overhead.
    socket.set_send_buffer_size(32 * 1024)?;
    socket.set_recv_buffer_size(16 * 1024)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Listener::from_fd(socket.into())
}

fn greet(server: &Server) -> io::Result<()> {
    let server::Address::Tcp(address) = &server.addresses()[0] else {
        unreachable!("the listener is a TCP one");
    };
    let (ip, port) = (address.ip(), address.port());
    writeln!(io::stdout(), "chat serving on {address}; try: nc {ip} {port}")
}

impl Options {
    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.into())
    }
}

/// The bounds of all people together.
fn server_limits(options: &Options) -> server::Limits {
    // A person beyond the maximum is accepted, to get the reason.
    let connections = options.max_people.saturating_add(AT_THE_DOOR);
    server::Limits {
        connections,
        // The output of each person is bounded already.
        buffered_bytes: connections.saturating_mul(MOST_KEPT),
        // Under load new connections wait instead of being refused.
        shed: false,
        ..server::Limits::default()
    }
}

/// The bounds of one person.
///
/// A server's default bounds are for programs at both ends. People type slowly and are silent for
/// long, so only the bounds with a flag are left.
fn person_limits(options: &Options) -> protocol::Limits {
    let patience = options.patience();
    // The session's own deadline begins when 16 KiB wait, and it sends a last message, which the
    // engine does not. So the engine's is longer, for readers that stop with less.
    let write_timeout = 2 * patience;
    // Not shorter than the patience.
    let idle_timeout = Duration::from_secs(options.idle.into()).max(write_timeout);
    protocol::Limits {
        high_watermark: 16 * 1024,
        low_watermark: 4 * 1024,
        inbox: 128,
        idle_timeout,
        // Half a line costs no more than none.
        message_timeout: idle_timeout,
        min_receive_rate: 0,
        write_timeout,
        min_send_rate: 0,
        flush_timeout: patience,
        ..protocol::Limits::default()
    }
}

/// Raises the soft limit on descriptors, which is low for the sake of programs that use `select`:
/// each person needs one. If it cannot be raised, the program runs with the soft one.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// How long the last messages may take.
const GRACE: Duration = Duration::from_secs(5);

/// How many connections beyond the maximum are accepted to be told that the chat is full.
const AT_THE_DOOR: usize = 64;

/// The most memory of the server for one person: the waiting output and one delivery more, in a
/// buffer that doubles, and waiting input.
const MOST_KEPT: usize = 96 * 1024;
