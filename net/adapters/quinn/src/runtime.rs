//! What quinn asks of a runtime.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant as StdInstant;

use heist_scheduler::time::Timer;
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};

use crate::socket::Socket;

/// quinn's runtime on the current runtime of heist.
///
/// Its methods, and so those that make an endpoint, have to be called in a task, in `block_on`, or under
/// [`Handle::enter`](heist_scheduler::Handle::enter).
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistRuntime;

impl Runtime for HeistRuntime {
    fn new_timer(&self, deadline: StdInstant) -> Pin<Box<dyn AsyncTimer>> {
        let mut timer = Timer::new();
        timer.set(Some(deadline.into()));
        Box::pin(QuinnTimer(timer))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        drop(heist_scheduler::spawn(future));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::new(socket)?))
    }
}

struct QuinnTimer(Timer);

impl AsyncTimer for QuinnTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: StdInstant) {
        self.0.set(Some(deadline.into()));
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_elapsed(cx)
    }
}

impl fmt::Debug for QuinnTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuinnTimer").field(&self.0.deadline()).finish()
    }
}
