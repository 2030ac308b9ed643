//! Accepting, for one listener: one task that is bounded in every way.
//!
//! It accepts while there is room, a bounded number of connections a turn, and spawns a task for each.
//! The kind of an error of accepting decides what is done:
//!
//! - one connection was lost: it is counted, and the next one accepted;
//! - descriptors or memory are used up: accepting again would fail again. The acceptor waits until a
//!   connection of this server has ended, or for a second, as other code may free something, too.
//!   Where this server has no connection that could end, a waiting connection is accepted with a
//!   descriptor that was kept in reserve and closed at once, so that it does not wait for ever;
//! - the listener is broken: the acceptor ends, and reports it.
//!
//! Foreign code runs here: hooks, [`Serve::task`], [`Serve::refusal`], and log subscribers. A panic in
//! it is [contained](panics::contain_hook), so it costs one connection at most, not the listener.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist_scheduler::time::{Instant, Timer};
use heist_scheduler::{Account, TaskBuilder, panics, yield_now};

use super::layer::TransportLayer;
use super::proxy_protocol::task::task_behind_proxy;
use super::refuse::refuse;
use super::serve::{Accepted, Serve};
use super::shared::Shared;
use crate::connection::permit::ConnectionPermit;
use crate::connection::refusal::Refusal;
use crate::connection::table::ConnectionTable;
use crate::connection::waits::{Admission, Waited};
use crate::socket::accept_error::{AcceptErrorKind, accept_error_kind, accept_error_name};
use crate::socket::address::Address;
use crate::socket::peer::Peer;
use crate::socket::registered_listener::RegisteredListener;
use crate::socket::stream::Stream;
use crate::socket::sys;

pub(super) struct Acceptor<S, L> {
    socket: RegisteredListener,
    address: Address,
    served: Served<S, L>,
    lost: Arc<ListenerLost>,
    /// Names the tasks of connections.
    task: Arc<str>,
    reserve: Reserve,
    /// How many connections had ended when it last began to accept.
    ended: u64,
    // Behind the socket: it counts as gone once that is closed.
    registration: Registration,
}

/// What becomes of each connection.
pub(super) struct Served<S, L> {
    pub(super) layer: Arc<L>,
    pub(super) serve: Arc<S>,
}

/// Called with the address and the error when a listener has failed for good.
pub(super) type ListenerLost = dyn Fn(&Address, &io::Error) + Send + Sync;

/// Counts the acceptor among those of its server.
struct Registration {
    server: Arc<Shared>,
    number: usize,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.server.connections().table.remove_acceptor(self.number);
    }
}

enum Next {
    Connection(sys::Stream, Peer),
    Error(io::Error),
    Draining,
}

impl<S, L> Acceptor<S, L>
where
    L: TransportLayer,
    S: Serve<L::Transport>,
{
    pub(super) fn new(
        socket: RegisteredListener,
        address: Address,
        served: Served<S, L>,
        server: &Arc<Shared>,
        lost: Arc<ListenerLost>,
    ) -> Acceptor<S, L> {
        let number = server.connections().table.add_acceptor();
        Acceptor {
            socket,
            address,
            served,
            lost,
            task: format!("{} connection", server.name()).into(),
            reserve: Reserve::open(),
            ended: 0,
            registration: Registration { server: Arc::clone(server), number },
        }
    }

    /// Accepts until the server drains, then closes the socket. So the system refuses new connections
    /// at once, and none waits in a backlog that is never read.
    pub(super) async fn run(mut self) {
        let turn = u64::from(self.server().limits().accepts_a_turn.max(1));
        for count in 1_u64.. {
            let outcome = match poll_fn(|cx| self.poll_next(cx)).await {
                Next::Draining => return self.close(),
                Next::Connection(socket, peer) => self.admit(socket, peer),
                Next::Error(error) => Err(error),
            };
            if let Err(error) = outcome
                && self.handle_accept_error(error).await.is_break()
            {
                return;
            }
            if count.is_multiple_of(turn) {
                yield_now().await;
            }
        }
    }

    /// Closes the socket.
    fn close(mut self) {
        if self.server().keeps_files() {
            self.socket.keep_file();
        }
    }

    fn server(&self) -> &Arc<Shared> {
        &self.registration.server
    }

    fn table(&self) -> &ConnectionTable {
        &self.server().connections().table
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        match ready!(self.table().poll_room(self.registration.number, cx)) {
            Admission::Draining => return Poll::Ready(Next::Draining),
            Admission::Open { ended } => self.ended = ended,
        }
        self.socket.poll_accept(cx).map(|accepted| match accepted {
            Ok((socket, peer)) => Next::Connection(socket, peer),
            Err(error) => Next::Error(error),
        })
    }

    /// Gives the connection a permit and a task, or refuses it.
    fn admit(&self, socket: sys::Stream, peer: Peer) -> io::Result<()> {
        let server = self.server();
        // A proxy has many clients: its connections count to the addresses and the accounts of those.
        let is_direct = !server.trusted_proxies().contains(&peer);
        let account = is_direct.then(|| server.accounts().of_peer(&peer));
        // A hook that panics has not asked for a refusal.
        let refuses = || server.should_refuse(account);
        if panics::contain_hook("the hook overloaded_by", refuses) == Some(true) {
            self.refuse(&socket, Refusal::Overload);
            return Ok(());
        }
        let accepted_at = Instant::of_poll();
        let connections = server.connections();
        let address = peer.ip().filter(|_| is_direct);
        let permit = match ConnectionPermit::acquire(connections, address, accepted_at) {
            Ok(permit) => permit,
            Err(refusal) => {
                self.refuse(&socket, refusal);
                return Ok(());
            }
        };
        let mut stream = match Stream::new(socket) {
            Ok(stream) => stream,
            Err(error) => {
                permit.withdraw();
                return Err(error);
            }
        };
        stream.set_meter(Arc::clone(server.meter()));
        let (drain, server) = (permit.drain_signal(), Arc::clone(server));
        let accepted = Accepted { stream, peer, proxy: None, drain, server, accepted_at };
        self.spawn(permit, accepted, account);
        Ok(())
    }

    /// Spawns the task of a connection; it has no `account` yet if a proxy tells whose it is. Where the
    /// runtime refuses it, or the service panics, the stream is dropped here and then the permit, which counts
    /// the end.
    fn spawn(&self, permit: ConnectionPermit, accepted: Accepted, account: Option<Account>) {
        panics::contain_hook("Serve::task", || {
            let Served { layer, serve } = &self.served;
            let (builder, server) = (TaskBuilder::new(), self.server());
            let builder = builder.name(Arc::clone(&self.task));
            match account {
                Some(account) => {
                    let task = L::task(layer, Arc::clone(serve), permit, accepted);
                    drop(builder.account(account).spawn_on(server.runtime(), task));
                }
                None => {
                    let account = server.accounts().of_connection();
                    let task = task_behind_proxy(layer, serve, permit, accepted);
                    drop(builder.account(account).spawn_on(server.runtime(), task));
                }
            }
        });
    }

    /// Closes the connection, behind the service's response to a refused one if it has any.
    fn refuse(&self, socket: &sys::Stream, refusal: Refusal) {
        let Served { layer, serve } = &self.served;
        refuse(self.server(), &**layer, &**serve, socket, refusal);
    }

    /// Handles an error by its kind. Breaks if the acceptor ends.
    async fn handle_accept_error(&mut self, error: io::Error) -> ControlFlow<()> {
        self.table().count_accept_error(accept_error_name(&error));
        match accept_error_kind(&error) {
            AcceptErrorKind::Connection => log(|| tracing::debug!(%error, "a connection was lost")),
            AcceptErrorKind::Exhausted => {
                log(|| {
                    tracing::debug!(%error, address = %self.address, "cannot accept for now");
                });
                self.wait_for_resources().await;
            }
            AcceptErrorKind::Fatal if self.server().runtime().is_shutting_down() => {
                return ControlFlow::Break(());
            }
            AcceptErrorKind::Fatal => {
                log(|| tracing::error!(%error, address = %self.address, "a listener failed"));
                panics::contain_hook("the hook on_listener_lost", || {
                    (self.lost)(&self.address, &error);
                });
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Waits until accepting is worth another try.
    async fn wait_for_resources(&mut self) {
        let mut pause = Timer::new();
        pause.set(Some(Instant::now() + PAUSE));
        let table = &self.registration.server.connections().table;
        let waited = poll_fn(|cx| {
            match table.poll_end(self.registration.number, self.ended, cx) {
                // Without a connection that could end, and without a reserve, only time can help.
                Poll::Ready(Waited::NoConnection) if !self.reserve.is_there() => {}
                Poll::Ready(waited) => return Poll::Ready(waited),
                Poll::Pending => {}
            }
            pause.poll_elapsed(cx).map(|()| Waited::Ended)
        })
        .await;
        if waited == Waited::NoConnection {
            self.refuse_by_reserve().await;
        }
        self.reserve.refill();
    }

    /// Accepts a waiting connection with the descriptor in reserve, and closes it.
    ///
    /// The kernel needs a descriptor even to say that none waits. With this one it can: then the
    /// socket counts as drained, and is not tried again before a connection comes.
    async fn refuse_by_reserve(&mut self) {
        self.reserve.release();
        match poll_fn(|cx| Poll::Ready(self.socket.poll_accept(cx))).await {
            Poll::Pending => {}
            Poll::Ready(Ok((socket, _))) => self.refuse(&socket, Refusal::Exhausted),
            Poll::Ready(Err(error)) => {
                log(|| tracing::debug!(%error, "the reserve did not help"));
            }
        }
    }
}

/// Logs. A subscriber is foreign code.
fn log(code: impl FnOnce()) {
    panics::contain_hook("a log of the acceptor", code);
}

/// A descriptor to be given up when there are no others.
struct Reserve(Option<File>);

impl Reserve {
    fn open() -> Reserve {
        let mut reserve = Reserve(None);
        reserve.refill();
        reserve
    }

    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn release(&mut self) {
        self.0 = None;
    }

    /// Where there is no descriptor for it either, it is tried again later.
    fn refill(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }
}

/// After so long it tries to accept again though no connection of ours has ended.
const PAUSE: Duration = Duration::from_secs(1);
