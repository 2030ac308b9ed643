//! The server: a listener and its connections, each run by whichever thread has its event.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::task::{Context, Poll, ready};

use heist::reactor::{Direction, Interest, Kind, Queue, Source};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, read};

use crate::task::{self, Job};

/// Registers a listening socket with the queue, which runs the server.
pub(crate) fn start(queue: &Queue) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let source = queue.register(0, listener, Interest::Read, Kind::Other)?;
    task::start(Acceptor { queue: queue.clone(), source });
    Ok(address)
}

/// A listening socket in the queue.
struct Acceptor {
    queue: Queue,
    source: Source<TcpListener>,
}

impl Job for Acceptor {
    /// Accepts until that would block, which drains a listener.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // `poll_io` does in one call what `Echo::receive` spells out.
            let accepted = self.source.poll_io(Direction::Read, cx, |listener| listener.accept());
            let (stream, _peer) = ready!(accepted)?;
            task::start(Echo::new(&self.queue, stream)?);
        }
    }
}

/// A connection in the queue, whose bytes are sent back.
struct Echo {
    source: Source<TcpStream>,
    /// Received and not sent back yet.
    unsent: Vec<u8>,
    input_ended: bool,
}

impl Echo {
    /// Registers with the queue, while other threads wait on it.
    fn new(queue: &Queue, stream: TcpStream) -> io::Result<Echo> {
        stream.set_nonblocking(true)?;
        // Reading only: that a fresh socket can be written to is no news. The queue asks the kernel
        // for the other direction when it is waited for, the first time that writing blocks.
        let source = queue.register(0, stream, Interest::Read, Kind::Stream)?;
        Ok(Echo { source, unsent: Vec::new(), input_ended: false })
    }

    /// Reads until the socket is drained, or the buffer full.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Clears the ready bit, or leaves the waker and pends: here is the re-arming.
        let drain = ready!(self.source.poll_drain(Direction::Read, cx))?;
        while self.unsent.len() < FULL {
            // The kernel writes where the bytes stay: behind what is unsent, into capacity that was
            // never filled with zeros. The call needs some, or its 0 would look like the end.
            self.unsent.reserve(CHUNK);
            let space = self.unsent.capacity() - self.unsent.len();
            match read(self.source.io(), spare_capacity(&mut self.unsent)) {
                Ok(0) => {
                    self.input_ended = true;
                    break;
                }
                // A short read from a stream is as good as `WouldBlock`, and spares one call.
                Ok(count) if count < space && drain.short_read_drains() => {
                    drain.drained();
                    return Poll::Ready(Ok(()));
                }
                // A full read, or a signal: the socket may still be readable.
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    drain.drained();
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        // The buffer is full and there may be more: dropping the `Drain` sets the ready bit again.
        // No edge will come for what is there already.
        drop(drain);
        Poll::Ready(Ok(()))
    }

    /// Writes until nothing is left. The rest of a write that the socket's buffer cut short waits
    /// for the edge that says there is room.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let write = self.source.poll_io(Direction::Write, cx, |mut io| io.write(&self.unsent));
            self.unsent.drain(..ready!(write)?);
        }
        Poll::Ready(Ok(()))
    }
}

impl Job for Echo {
    /// Pends with a waker in one direction: to write while something is unsent, else to read. So a
    /// client that does not read is not read from either, and the memory it costs has a bound.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.send(cx))?;
            if self.input_ended {
                return Poll::Ready(Ok(()));
            }
            ready!(self.receive(cx))?;
        }
    }
}

/// How many bytes a connection holds before it stops reading.
const FULL: usize = 64 * 1024;

/// The least that a read has space for.
const CHUNK: usize = 16 * 1024;
