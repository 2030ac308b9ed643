//! The signals that ask a program to end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kind::SignalKind;
use super::stream::{Signal, signal};

/// Completes at the first Ctrl-C, or any other SIGINT, after this call.
///
/// From this call on SIGINT does not end the process any more, and so it stays when the future is
/// dropped; see the [module](super). Servers that a service manager stops wait for [`terminate`].
///
/// Its output is an error if SIGINT cannot be received. Cancel-safe.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// heist::Runtime::new()?.block_on(async {
///     heist::signal::ctrl_c().await?;
///     println!("goodbye");
///     Ok(())
/// })
/// # }
/// ```
pub fn ctrl_c() -> CtrlC {
    CtrlC { interrupt: signal(SignalKind::interrupt()).map_err(Some) }
}

/// Completes at the first SIGINT or SIGTERM after this call: Ctrl-C in a terminal, or the word of a
/// service manager, a container's runtime or `kill`.
///
/// Its output is which of them came, or an error if they cannot be received. From this call on neither
/// ends the process any more, and so it stays when the future is dropped; see the [module](super).
/// Cancel-safe.
///
/// ```
/// use heist::{Server, signal};
/// use heist::net::Stream;
/// use heist::server::Listener;
///
/// async fn greet(mut stream: Stream) -> std::io::Result<()> {
///     stream.write_all(b"hello\n").await
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = Listener::tcp("127.0.0.1:0".parse()?)?;
/// let stop = signal::terminate();
/// # rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
/// let report = heist::Runtime::new()?.block_on(
///     Server::builder()
///         .listen(listener)
///         .handler(|stream, _peer| greet(stream))
///         .run_until(stop),
/// )?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
pub fn terminate() -> Terminate {
    let interrupt = signal(SignalKind::interrupt());
    let signals = interrupt.and_then(|it| Ok([it, signal(SignalKind::terminate())?]));
    Terminate { signals: signals.map_err(Some) }
}

/// Future of [`ctrl_c`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct CtrlC {
    interrupt: Result<Signal, Option<io::Error>>,
}

/// Future of [`terminate`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Terminate {
    signals: Result<[Signal; 2], Option<io::Error>>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.interrupt {
            Ok(signal) => signal.poll_signal(cx),
            Err(error) => Poll::Ready(Err(unreceived(error.take()))),
        }
    }
}

impl Future for Terminate {
    type Output = io::Result<SignalKind>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SignalKind>> {
        let signals = match &mut self.signals {
            Ok(signals) => signals,
            Err(error) => return Poll::Ready(Err(unreceived(error.take()))),
        };
        for signal in signals {
            if let Poll::Ready(received) = signal.poll_signal(cx) {
                return Poll::Ready(received.map(|()| signal.kind()));
            }
        }
        Poll::Pending
    }
}

/// The error of a signal that cannot be received. It is logged too, as a caller that waits for the end
/// may not look at it.
fn unreceived(error: Option<io::Error>) -> io::Error {
    let error = error.unwrap_or_else(|| io::Error::other("polled after its end"));
    tracing::error!(%error, "the signals that end the program cannot be received");
    error
}
