//! A UDP socket on the event queue.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use heist_net::{Driver, NoDriver, Source};
use heist_reactor::{Direction, Interest, Kind};
use heist_scheduler::Handle;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

/// A UDP socket of an endpoint.
///
/// One task reads from it, that of the endpoint. Any number of tasks send, one for each connection.
pub(crate) struct Socket {
    source: Source<UdpSocket>,
    state: UdpSocketState,
}

impl Socket {
    /// Registers `socket` with the event queue of the current runtime.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Socket> {
        let runtime = Handle::try_current().ok_or(NoDriver::OutsideRuntime)?;
        let driver = Driver::of(&runtime).ok_or(NoDriver::NoQueue)?;
        // Sets non-blocking mode, too.
        let state = UdpSocketState::new((&socket).into())?;
        let source = driver.register(socket, Interest::ReadWrite, Kind::Other)?;
        Ok(Socket { source, state })
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { socket: self, wait: Mutex::new(None) })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state.send(self.source.io().into(), transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.source
            .poll_io(Direction::Read, cx, |socket| self.state.recv(socket.into(), buffers, metas))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(self.source.io()).finish()
    }
}

/// Waits until a socket takes a datagram, for one of its senders.
struct Writable {
    socket: Arc<Socket>,
    /// The wait under way. The lock makes this `Sync` and is never contended: each use has `&mut`.
    wait: Mutex<Option<Wait>>,
}

type Wait = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Writable { socket, wait } = &mut *self;
        let slot = wait.get_mut().unwrap_or_else(PoisonError::into_inner);
        let wait = slot.get_or_insert_with(|| Box::pin(writable(Arc::clone(socket))));
        let outcome = wait.as_mut().poll(cx);
        if outcome.is_ready() {
            *slot = None;
        }
        outcome
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Writable").field(&self.socket).finish()
    }
}

/// The send that would block did not go through the source, so it is the system that is asked, and only
/// its answer clears the readiness.
async fn writable(socket: Arc<Socket>) -> io::Result<()> {
    let probe = |socket: &UdpSocket| {
        let mut fds = [PollFd::new(socket, PollFlags::OUT)];
        match poll(&mut fds, Some(&Timespec::default()))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    };
    socket.source.io_when_ready(Direction::Write, probe).await
}
