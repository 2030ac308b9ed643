//! Settings of a server, and its start.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use heist_scheduler::{Handle, task};

use super::acceptor::{Acceptor, ListenerLost};
use super::ending::Ending;
use super::limits::Limits;
use super::listener::{Address, Listener};
use super::peer::Peer;
use super::serving::{AcceptedHandler, ByInbox, ByProtocol, Handler};
use super::shared::{Overloaded, Shared};
use super::socket::Socket;
use super::{Accepted, Serve, Server};
use crate::protocol::{self, Protocol};
use crate::stream::Stream;

/// Settings of a [`Server`]; made by [`Server::builder`]. `S` is what it serves.
#[must_use = "nothing is served until `start`"]
pub struct Builder<S> {
    name: String,
    listeners: Vec<Listener>,
    limits: Limits,
    lost: Arc<ListenerLost>,
    overloaded: Overloaded,
    serve: S,
}

/// What a server serves that has not been told what: it cannot be started.
#[derive(Debug)]
pub struct Nothing(());

impl Builder<Nothing> {
    pub(super) fn new() -> Builder<Nothing> {
        Builder {
            name: "server".to_owned(),
            listeners: Vec::new(),
            limits: Limits::default(),
            lost: Arc::new(|_, _| {}),
            overloaded: Box::new(Handle::is_overloaded),
            serve: Nothing(()),
        }
    }
}

impl<S> Builder<S> {
    /// Sets the server's name, which its metrics carry as a label and its tasks in their names;
    /// `server` if not set.
    pub fn name(mut self, name: impl Into<String>) -> Builder<S> {
        self.name = name.into();
        self
    }

    /// Adds a socket to accept connections from; there may be many, of both families.
    pub fn listen(mut self, listener: Listener) -> Builder<S> {
        self.listeners.push(listener);
        self
    }

    /// Sets the bounds.
    pub fn limits(mut self, limits: Limits) -> Builder<S> {
        self.limits = limits;
        self
    }

    /// Calls `hook` with a listener's address and its error when it has failed for good. The
    /// server's other listeners go on, and it does not end by itself when there are none left.
    pub fn on_listener_lost(
        mut self,
        hook: impl Fn(&Address, &io::Error) + Send + Sync + 'static,
    ) -> Builder<S> {
        self.lost = Arc::new(hook);
        self
    }

    /// Asks `overloaded`, instead of the runtime itself, whether the runtime has more to do than it
    /// can; with [`Limits::shed`] new work is refused while it says so.
    ///
    /// It is asked at each connection, and by some services at each request: it must be quick.
    pub fn overloaded_by(
        mut self,
        overloaded: impl Fn(&Handle) -> bool + Send + Sync + 'static,
    ) -> Builder<S> {
        self.overloaded = Box::new(overloaded);
        self
    }

    /// Serves each connection with the protocol that `make` makes for it, on the
    /// [engine](crate::protocol), which sees to all bounds that concern it.
    ///
    /// When the server drains, the protocol is told by [`draining`](Protocol::draining).
    pub fn protocol<P, M>(self, make: M) -> Builder<ByProtocol<M>>
    where
        M: Fn(&Peer) -> P + Send + Sync + 'static,
        P: Protocol,
    {
        self.serve(ByProtocol::new(make))
    }

    /// As [`protocol`](Builder::protocol), for protocols that are to have a
    /// [`Sender`](protocol::Sender) of their own, to register it where other connections find it,
    /// or to have the answers of other tasks sent back.
    pub fn protocol_with_inbox<P, M>(self, make: M) -> Builder<ByInbox<M, P>>
    where
        M: Fn(&Peer, protocol::Sender<P::Message>) -> P + Send + Sync + 'static,
        P: Protocol,
    {
        self.serve(ByInbox::new(make))
    }

    /// Serves each connection with the future that `handle` makes of its stream.
    ///
    /// The server bounds how many there are and counts their bytes, and it ends a connection whose
    /// future was not woken for [`Limits::idle_timeout`], be it that the peer sends nothing or that
    /// it takes nothing. The rest is up to the future: how long a message may be and may take, and
    /// how slow its peer may be (put a [`timeout`](heist_scheduler::time::timeout) around each).
    /// It is not told when the server drains, and is dropped at the end of the grace; with
    /// [`accepted`](Builder::accepted) it can be told.
    pub fn handler<H, F>(self, handle: H) -> Builder<Handler<H>>
    where
        H: Fn(Stream, Peer) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.serve(Handler::new(handle))
    }

    /// Serves each connection with the future that `handle` makes of it, which gets its
    /// [`Place`](super::Place), too: to be told when the server drains, to say when it is busy, and
    /// to find the server's bounds, all of which are up to it.
    ///
    /// The server bounds how many connections there are and counts their bytes.
    pub fn accepted<H, F>(self, handle: H) -> Builder<AcceptedHandler<H>>
    where
        H: Fn(Accepted) -> F + Send + Sync + 'static,
        F: Future<Output = Ending> + Send + 'static,
    {
        self.serve(AcceptedHandler::new(handle))
    }

    /// Serves each connection with `serve`.
    pub fn serve<T: Serve>(self, serve: T) -> Builder<T> {
        let Builder { name, listeners, limits, lost, overloaded, serve: _ } = self;
        Builder { name, listeners, limits, lost, overloaded, serve }
    }
}

impl<S: Serve> Builder<S> {
    /// Starts to accept, on the current runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`]: outside of a runtime, without a listener, or what the system says.
    pub fn start(self) -> Result<Server, StartError> {
        let runtime = Handle::try_current().ok_or(StartError::OutsideRuntime)?;
        self.start_on(&runtime)
    }

    /// Starts to accept, on the runtime of `runtime`.
    ///
    /// # Errors
    ///
    /// [`StartError`]: without a listener, or what the system says.
    pub fn start_on(self, runtime: &Handle) -> Result<Server, StartError> {
        let Builder { name, listeners, limits, lost, overloaded, mut serve } = self;
        if listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        let mut sockets = Vec::new();
        for listener in listeners {
            let (bound, address, file) = listener.into_parts();
            let socket = Socket::new(runtime, bound, file)
                .map_err(|source| StartError::Listen { address: address.clone(), source })?;
            sockets.push((socket, address));
        }
        let shared = Arc::new(Shared::new(name, limits, runtime, overloaded));
        serve.start(&shared);
        let serve = Arc::new(serve);
        let addresses = sockets.iter().map(|(_, address)| address.clone()).collect();
        for (socket, address) in sockets {
            let serve = Arc::clone(&serve);
            let acceptor = Acceptor::new(socket, address, serve, &shared, Arc::clone(&lost));
            let task = task::Builder::new().name(format!("{} acceptor", shared.name()));
            drop(task.spawn_on(runtime, acceptor.run()));
        }
        Ok(Server::new(shared, addresses, move || serve.http_metrics()))
    }
}

impl<S> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("listeners", &self.listeners)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The calling thread is in no runtime.
    #[error("a server needs a runtime: start it in a task, in `block_on`, or by `start_on`")]
    OutsideRuntime,
    /// There is nothing to accept from.
    #[error("a server needs a listener: give it one by `listen`")]
    NoListener,
    /// A socket could not be put under the runtime.
    #[error("cannot accept on {address}: {source}")]
    Listen {
        /// Where it listens.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
}
