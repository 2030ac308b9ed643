//! Listeners and connections: one task each.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist::net::{
    AcceptErrorKind, HyperTimer, Stream, TcpListener, UnixListener, accept_error_kind,
};
use heist::{Runtime, task, time};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::app::{App, Conversation};
use super::connections::{Admission, Ending};
use super::listen::{Address, Listener, SocketFile};
use super::metrics;
use super::peer::Peer;
use super::routes;
use super::signals::Stopper;

/// Where the server listens; dropping it removes the files of Unix sockets.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    pub(crate) addresses: Vec<Address>,
    _files: Vec<SocketFile>,
}

/// Starts to accept on `listeners`.
pub(crate) fn start(
    runtime: &Runtime,
    app: &Arc<App>,
    listeners: Vec<Listener>,
    stopper: &Arc<Stopper>,
) -> io::Result<Listening> {
    let _inside = runtime.handle().enter();
    let mut listening = Listening::default();
    for listener in listeners {
        listening.addresses.push(listener.address()?);
        let socket = match listener {
            Listener::Tcp(listener) => Socket::Tcp(TcpListener::from_std(listener)?),
            Listener::Unix(listener, file) => {
                listening._files.push(file);
                Socket::Unix(UnixListener::from_std(listener)?)
            }
        };
        let acceptor = Acceptor { socket, app: Arc::clone(app), stopper: Arc::clone(stopper) };
        drop(task::Builder::new().name("acceptor").spawn(acceptor.accept_all()));
    }
    Ok(listening)
}

/// A listening socket under the runtime.
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Socket::Tcp(listener) => {
                listener.poll_accept(cx).map_ok(|(stream, _peer)| stream.into())
            }
            Socket::Unix(listener) => {
                listener.poll_accept(cx).map_ok(|(stream, _peer)| stream.into())
            }
        }
    }
}

struct Acceptor {
    socket: Socket,
    app: Arc<App>,
    stopper: Arc<Stopper>,
}

impl Acceptor {
    /// Accepts until the server drains, then closes the socket, so that who comes is refused at
    /// once instead of waiting in a backlog that nobody reads.
    async fn accept_all(self) {
        let server = server();
        let name: Arc<str> = "connection".into();
        let mut troubled = false;
        for turn in 1_u64.. {
            match poll_fn(|cx| self.poll_next(cx)).await {
                None => return,
                Some(Ok(stream)) => {
                    troubled = false;
                    let connection = converse(server.clone(), Arc::clone(&self.app), stream);
                    drop(task::Builder::new().name(Arc::clone(&name)).spawn(connection));
                }
                Some(Err(error)) => {
                    metrics::count_accept_error(&error);
                    if self.endure(&error, &mut troubled).await.is_err() {
                        return;
                    }
                }
            }
            if turn.is_multiple_of(ACCEPTS_A_TURN) {
                heist::yield_now().await;
            }
        }
    }

    /// The next connection; `None` when the server drains.
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Stream>>> {
        match ready!(self.app.connections.poll_room(cx)) {
            Admission::Ended => Poll::Ready(None),
            Admission::Open => self.socket.poll_accept(cx).map(Some),
        }
    }

    /// Does with an error what its kind asks for; `Err` if it is the end of the listener.
    async fn endure(&self, error: &io::Error, troubled: &mut bool) -> Result<(), ()> {
        match accept_error_kind(error) {
            AcceptErrorKind::Connection => tracing::debug!(%error, "a connection was lost"),
            AcceptErrorKind::Exhausted => {
                if !std::mem::replace(troubled, true) {
                    tracing::warn!(%error, "cannot accept for now; trying again");
                }
                // No event tells when there are descriptors again: others close them, too.
                time::sleep(EXHAUSTED_PAUSE).await;
            }
            AcceptErrorKind::Fatal if self.app.connections.draining() => return Err(()),
            AcceptErrorKind::Fatal => {
                tracing::error!(%error, "a listener failed; stopping");
                self.stopper.listener_failed();
                return Err(());
            }
        }
        Ok(())
    }
}

/// One connection, from its first request to its close.
fn converse(server: http1::Builder, app: Arc<App>, stream: Stream) -> impl Future<Output = ()> {
    // Counted here, not in the task: the acceptor must not accept more before the task has run.
    let mut place = app.connections.enter();
    async move {
        let conversation = Conversation::new(app);
        let peer = Peer::new(stream, Arc::clone(&conversation));
        let service = service_fn(move |request| routes::answer(Arc::clone(&conversation), request));
        let mut connection = pin!(server.serve_connection(peer, service));
        let mut draining = false;
        let ending = poll_fn(|cx| {
            let told = !draining && place.poll_draining(cx).is_ready();
            if told {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx).map(|outcome| ending(outcome, draining, told))
        })
        .await;
        place.leave(ending);
    }
}

/// A connection that ends in the moment in which it is told to was idle.
fn ending(outcome: hyper::Result<()>, draining: bool, told: bool) -> Ending {
    match outcome {
        Ok(()) if told => Ending::Idle,
        Ok(()) if draining => Ending::Drained,
        Ok(()) => Ending::Done,
        Err(error) if error.is_timeout() => Ending::TimedOut,
        Err(error) => {
            tracing::debug!(%error, "a connection failed");
            Ending::Failed
        }
    }
}

/// hyper's part, with its bounds.
fn server() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(HyperTimer)
        .header_read_timeout(HEADER_TIME)
        .max_headers(HEADERS)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(BUFFER_BYTES);
    server
}

/// For a request's head; between requests, hyper lets a connection idle no longer than this.
const HEADER_TIME: Duration = Duration::from_secs(15);
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 16 * 1024;

/// The most that one connection buffers in each direction. hyper begins with 8 KiB and grows for
/// uploads that fill it, which halves their reads.
const BUFFER_BYTES: usize = 64 * 1024;

/// Accepting spends no budget of its own; this lets others run during a flood.
const ACCEPTS_A_TURN: u64 = 64;

const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
