//! Connections that are watched together.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

/// Which connections have something to read.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    pub(crate) fn new() -> io::Result<Watch> {
        Ok(Watch(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    pub(crate) fn add(&self, stream: &TcpStream, index: usize) -> io::Result<()> {
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

/// So many connections, each in the watch under its place in the list; and how many bytes an answer
/// has there.
pub(crate) fn connect_all(
    watch: &Watch,
    address: SocketAddr,
    count: usize,
    request: &str,
) -> io::Result<(Vec<TcpStream>, usize)> {
    let mut streams = Vec::with_capacity(count);
    let length = await_answer(&connect(address)?, request)?;
    for index in 0..count {
        let stream = connect(address)?;
        // Answered, it was accepted, and so were those before it. A backlog that overflows would
        // cost them a second.
        if index % BACKLOG == BACKLOG - 1 {
            await_answer(&stream, request)?;
        }
        watch.add(&stream, index)?;
        streams.push(stream);
    }
    Ok((streams, length))
}

/// A connection that reads without waiting.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Asks once and gives the length of the answer.
fn await_answer(mut stream: &TcpStream, request: &str) -> io::Result<usize> {
    stream.set_nonblocking(false)?;
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(BODY) {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    stream.set_nonblocking(true)?;
    Ok(answer.len())
}

/// How many bytes could be read; `None` when the peer has closed.
pub(crate) fn read(mut stream: &TcpStream) -> io::Result<Option<usize>> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Some(0)),
        Err(error) => Err(error),
    }
}

/// What an echo is asked for: it ends as every answer does.
pub(crate) const MESSAGE: &str = "To be sent back to the same client, byte by byte: Hello, World!";
/// What every answer ends with.
const BODY: &[u8] = b"Hello, World!";
/// Connections that a server may be asked to accept at once: less than the 128 that std allows.
const BACKLOG: usize = 64;
