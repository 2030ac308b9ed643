//! The stream of one kind of signal.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::kind::SignalKind;
use super::pipe::SignalPipe;

/// The signals of one kind, from the call of [`signal`] on.
///
/// Each `Signal` gets each of them; see the [module](super). Dropping it leaves the default action off.
#[derive(Debug)]
#[must_use = "the default action of the signal is off from now on, and nothing else happens"]
pub struct Signal {
    kind: SignalKind,
    pipe: SignalPipe,
}

/// Has signals of `kind` received instead of their default action, for the rest of the process.
///
/// Signals count from this call on, also before the first [`recv`](Signal::recv). Outside of a runtime
/// the stream belongs to the runtime that polls it first: a program can have its signals received before
/// it starts a thread.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if no signal has that number, and for SIGKILL, SIGSTOP,
/// SIGILL, SIGFPE and SIGSEGV, which cannot be handled so; else what the system says, such as no
/// descriptors. The default action is in force then.
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    Ok(Signal { kind, pipe: SignalPipe::open(kind)? })
}

impl Signal {
    /// Waits for a signal. All that came since the last one are one.
    ///
    /// `None` once no further signal can be received: the runtime that the stream belongs to has shut
    /// down. For a stream that was made outside of a runtime also where the first poll is in none, or the
    /// event queue is full.
    ///
    /// Cancel-safe: a signal that no call has returned is there for the next one.
    ///
    /// # Panics
    ///
    /// In a runtime that shuts down while it waits in its `block_on`, as every wait.
    pub async fn recv(&mut self) -> Option<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Signal::recv). If there is no signal, the task is woken by the next one; only the
    /// task that polled last is.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.pipe.poll_recv(cx).map(Result::ok)
    }

    /// Which signals it receives.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    /// As [`poll_recv`](Signal::poll_recv), with the error that ends the stream.
    pub(super) fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.poll_recv(cx)
    }
}

impl Stream for Signal {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll_recv(cx)
    }
}
