//! Shared by the tests of the server: protocols to serve, and clients.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heist_net::protocol::{self, Context, Protocol};
use heist_net::server::{Address, Builder, ByProtocol, Limits, Listener, NoService, Peer};
use heist_net::{Runtime, Server};
use heist_scheduler::time::{Clock, ManualClock};

use crate::common::GUARD;

/// Sends each line back, and counts the connections.
#[derive(Default)]
pub(crate) struct Echo {
    pub(crate) census: Arc<Census>,
}

/// The number of open connections, and the greatest number so far.
#[derive(Default)]
pub(crate) struct Census {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Census {
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Protocol for Echo {
    type Message = Infallible;

    fn opened(&mut self, _: &mut Context<'_>) {
        let now = self.census.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.census.most.fetch_max(now, Ordering::SeqCst);
    }

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
        assert_ne!(input, b"panic\n", "as asked");
        cx.write(&input[..=end]);
        Ok(end + 1)
    }

    fn closed(&mut self, _: &protocol::CloseReason) {
        self.census.now.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) fn listener() -> Listener {
    Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// A listener on an address that no other test uses: once it is closed, nothing listens there.
pub(crate) fn listener_apart(number: u8) -> Listener {
    // Other systems have only the first of these addresses.
    let number = if cfg!(target_os = "linux") { number } else { 1 };
    Listener::tcp(([127, 0, 0, number], 0).into()).unwrap()
}

/// Waits until connections are refused.
///
/// Each child that another test starts holds a listener that was closed, until it executes its
/// program.
#[track_caller]
pub(crate) fn until_refused(address: &Address) {
    let Address::Tcp(address) = *address else { panic!("{address} is not TCP") };
    until(|| {
        let connected = TcpStream::connect(address);
        connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

/// Limits for real time: no peer is too slow for a handshake, however busy the machine is.
pub(crate) fn patient() -> Limits {
    Limits { handshake_timeout: 60 * GUARD, ..Limits::default() }
}

/// A server on a port that the system chooses, without a service yet. It is never overloaded,
/// however busy the machine is.
pub(crate) fn server(limits: Limits) -> Builder<NoService> {
    let builder = Server::builder().name("test").listen(listener()).limits(limits);
    builder.overloaded_by(|_| false)
}

/// An echo server on a port that the system chooses.
pub(crate) fn echo(
    limits: Limits,
) -> Builder<ByProtocol<impl Fn(&Peer) -> Echo + Send + Sync + 'static>> {
    server(limits).protocol(|_: &Peer| Echo::default())
}

/// A runtime of one worker on virtual time.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    hand: ManualClock,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage::with_budget(128)
    }

    /// With a budget of operations for each poll.
    pub(crate) fn with_budget(operations: u32) -> Stage {
        let (clock, hand) = Clock::manual();
        let builder = heist_net::Builder::new().ignore_environment().workers(1).clock(clock);
        let runtime = builder.budget(operations).start().unwrap();
        Stage { runtime, hand }
    }

    /// Moves the clock only.
    pub(crate) fn advance(&self, time: Duration) {
        self.hand.advance(time);
    }

    /// Moves time on and calls `meanwhile` while the worker is blocked.
    pub(crate) fn pass_unseen(&self, time: Duration, meanwhile: impl FnOnce()) {
        // After the second long poll the worker takes few events at a time.
        self.hold(|| self.hand.advance(Duration::from_millis(1)));
        self.hold(|| {
            meanwhile();
            self.hand.advance(time);
        });
    }

    /// Blocks the worker while `meanwhile` runs.
    pub(crate) fn hold(&self, meanwhile: impl FnOnce()) {
        let (release, released) = mpsc::channel::<()>();
        let (hold, held) = mpsc::channel();
        let holds = self.runtime.spawn(async move {
            hold.send(()).unwrap();
            let _ = released.recv();
        });
        held.recv().unwrap();
        meanwhile();
        drop(release);
        self.runtime.block_on(holds).unwrap();
    }

    /// Moves time on, and lets the tasks run whose timers are due.
    pub(crate) fn pass(&self, time: Duration) {
        self.hand.advance(time);
        // It runs after the tasks that the move has woken.
        self.runtime.block_on(self.runtime.spawn(heist_scheduler::yield_now())).unwrap();
    }
}

/// A client that fails instead of hanging.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn new(server: &Server) -> Client {
        Client::of(&server.addresses()[0])
    }

    pub(crate) fn of(address: &Address) -> Client {
        let Address::Tcp(address) = address else { panic!("{address} is not TCP") };
        Client::from(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads exactly `text`.
    pub(crate) fn expect(&mut self, text: &str) {
        let mut answer = vec![0; text.len()];
        self.0.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), text);
    }

    pub(crate) fn ask(&mut self, line: &str) {
        self.send(line);
        self.expect(line);
    }

    /// Reads until the end or a reset, and returns the bytes before it.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = self.0.read(&mut buffer) {
            rest.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(rest).unwrap()
    }

    pub(crate) fn assert_closed(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => panic!("it was answered"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        Client(stream)
    }
}

/// Waits until `condition` holds, which other threads make true.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < GUARD, "it never happened");
        std::thread::yield_now();
    }
}
