//! Connections that are watched together, and the requests under way on each.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use crate::connection::{Connection, Peer};
use crate::http2::Session;
use crate::target::Target;

/// Which connections have something to read.
pub(crate) struct Watch(OwnedFd);

/// A connection and the requests under way on it.
pub(crate) struct Client {
    connection: Connection,
    protocol: Protocol,
    /// The stream of each request under way, and when it was due. HTTP/1.1 has one stream.
    due: VecDeque<(u32, Instant)>,
    /// What is to be sent.
    output: Vec<u8>,
}

/// How answers are told from each other.
enum Protocol {
    /// Every answer has the same length.
    Http1 {
        length: usize,
        received: usize,
    },
    Http2(Session),
}

impl Watch {
    pub(crate) fn new() -> io::Result<Watch> {
        Ok(Watch(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    pub(crate) fn add(&self, stream: impl AsFd, index: usize) -> io::Result<()> {
        let data = epoll::EventData::new_u64(index as u64);
        Ok(epoll::add(&self.0, stream, data, epoll::EventFlags::IN)?)
    }

    /// Sleeps until there is something, or so long.
    pub(crate) fn sleep(&self, bound: Duration) -> io::Result<()> {
        let bound = Timespec { tv_sec: bound.as_secs() as _, tv_nsec: bound.subsec_nanos() as _ };
        let mut watched = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        poll(&mut watched, Some(&bound))?;
        Ok(())
    }

    /// What there is now, some of it.
    pub(crate) fn ready(&self) -> io::Result<impl Iterator<Item = usize> + use<>> {
        let mut events = [MaybeUninit::uninit(); 64];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let (ready, _) = epoll::wait(&self.0, &mut events, Some(&now))?;
        let ready: Vec<usize> = ready.iter().map(|event| event.data.u64() as usize).collect();
        Ok(ready.into_iter())
    }
}

/// So many clients, each in the watch under its place in the list.
pub(crate) fn connect_all(
    watch: &Watch,
    target: &Target,
    count: usize,
    request: &[u8],
) -> io::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    let length = answer_length(target, request)?;
    for index in 0..count {
        let mut client = Client::connect(target, length)?;
        // Answered, it was accepted, and so were those before it. A backlog that overflows would
        // cost them a second. Under TLS that ends the handshake, which is not part of the load.
        if target.wire.tls.is_some() || index % BACKLOG == BACKLOG - 1 {
            client.await_answer(request)?;
        }
        watch.add(&client.connection, index)?;
        clients.push(client);
    }
    Ok(clients)
}

impl Client {
    /// A client whose server answers with so many bytes over HTTP/1.1.
    pub(crate) fn connect(target: &Target, length: usize) -> io::Result<Client> {
        let connection = Connection::open(target)?;
        let mut output = Vec::new();
        let protocol = match target.wire.streams {
            None => Protocol::Http1 { length, received: 0 },
            Some(_) => Protocol::Http2(Session::begin(&mut output)),
        };
        Ok(Client { connection, protocol, due: VecDeque::new(), output })
    }

    /// Takes a request, which was due then, to be sent by the next flush.
    pub(crate) fn ask(&mut self, request: &[u8], due: Instant) {
        let stream = match &mut self.protocol {
            Protocol::Http1 { .. } => {
                self.output.extend_from_slice(request);
                0
            }
            Protocol::Http2(session) => session.ask(request, &mut self.output),
        };
        self.due.push_back((stream, due));
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            self.connection.write(&self.output)?;
            self.output.clear();
        }
        Ok(())
    }

    /// Reads once; for each request that is answered, `answered` gets when it was due.
    pub(crate) fn receive(&mut self, answered: &mut Vec<Instant>) -> io::Result<()> {
        let Client { connection, protocol, due, output } = self;
        let mut failure = None;
        let peer = connection.read(|bytes| match protocol {
            Protocol::Http1 { length, received } => {
                *received += bytes.len();
                while *received >= *length && !due.is_empty() {
                    *received -= *length;
                    answered.extend(due.pop_front().map(|(_, due)| due));
                }
            }
            Protocol::Http2(session) => {
                let complete = |stream| {
                    let place = due.iter().position(|&(asked, _)| asked == stream);
                    answered.extend(place.and_then(|place| due.remove(place)).map(|(_, due)| due));
                };
                failure = session.take(bytes, output, complete).err().or(failure.take());
            }
        })?;
        match (failure, peer) {
            (Some(error), _) => Err(error),
            (None, Peer::Closed) => Err(ErrorKind::UnexpectedEof.into()),
            (None, Peer::Open) => Ok(()),
        }
    }

    /// When each request under way was due.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Instant> {
        self.due.iter().map(|&(_, due)| due)
    }

    pub(crate) fn is_free(&self) -> bool {
        self.due.is_empty()
    }

    /// Asks once and waits for the answer.
    pub(crate) fn await_answer(&mut self, request: &[u8]) -> io::Result<()> {
        self.set_blocking(true)?;
        self.ask_and_wait(request)?;
        self.set_blocking(false)
    }

    /// The same on a connection whose reads wait.
    pub(crate) fn ask_and_wait(&mut self, request: &[u8]) -> io::Result<()> {
        self.ask(request, Instant::now());
        self.flush()?;
        while !self.is_free() {
            self.receive(&mut Vec::new())?;
            self.flush()?;
        }
        Ok(())
    }

    /// Whether reads and writes wait.
    pub(crate) fn set_blocking(&self, blocking: bool) -> io::Result<()> {
        self.connection.set_blocking(blocking)
    }
}

/// How many bytes an answer has over HTTP/1.1.
pub(crate) fn answer_length(target: &Target, request: &[u8]) -> io::Result<usize> {
    if target.wire.streams.is_some() {
        return Ok(0);
    }
    let mut connection = Connection::open(target)?;
    connection.set_blocking(true)?;
    connection.write(request)?;
    let mut answer = Vec::new();
    while !answer.ends_with(BODY) {
        if connection.read(|bytes| answer.extend_from_slice(bytes))? == Peer::Closed {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(answer.len())
}

/// What an echo is asked for: it ends as every answer does.
pub(crate) const MESSAGE: &str = "To be sent back to the same client, byte by byte: Hello, World!";
/// What every answer ends with.
const BODY: &[u8] = b"Hello, World!";
/// Connections that a server may be asked to accept at once: less than the 128 that std allows.
const BACKLOG: usize = 64;
