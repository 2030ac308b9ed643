//! Settings of a server, and its start.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;

use heist_scheduler::{Handle, JoinHandle, OverloadLevel, TaskBuilder};

use super::acceptor::{Acceptor, ListenerLost, Served};
use super::accounts::Accounts;
use super::by_protocol::{ByInbox, ByProtocol};
use super::drain::Report;
use super::handler::{AcceptedHandler, Handler};
use super::layer::{Plain, TransportLayer};
use super::limits::Limits;
use super::oneshot::Oneshot;
use super::proxy_protocol::trusted_proxies::{TrustedProxies, TrustedProxy};
use super::serve::{Accepted, Serve};
use super::shared::{Overloaded, Shared};
use super::start_error::StartError;
use super::started::Server;
use crate::connection::close_reason::CloseReason;
use crate::protocol::{self, Protocol};
use crate::socket::address::Address;
use crate::socket::bound_listener::Listener;
use crate::socket::peer::Peer;
use crate::socket::registered_listener::RegisteredListener;

/// Settings of a [`Server`]; made by [`Server::builder`]. `S` is what it serves, `L` the layer below.
#[must_use = "nothing is served until `start`"]
pub struct Builder<S, L = Plain> {
    name: String,
    listeners: Vec<Listener>,
    limits: Limits,
    proxies: TrustedProxies,
    accounts: Accounts,
    lost: Arc<ListenerLost>,
    overloaded: Overloaded,
    layer: L,
    serve: S,
}

/// Stands for the service of a server that has none yet, and so cannot be started.
#[derive(Debug)]
pub struct NoService(());

impl Server {
    /// Settings of a server without a service and without a listener.
    pub fn builder() -> Builder<NoService> {
        Builder {
            name: "server".to_owned(),
            listeners: Vec::new(),
            limits: Limits::default(),
            proxies: TrustedProxies::default(),
            accounts: Accounts::per_connection(),
            lost: Arc::new(|_, _| {}),
            overloaded: Box::new(Handle::overload_level),
            layer: Plain,
            serve: NoService(()),
        }
    }
}

impl<S, L> Builder<S, L> {
    /// Sets the server's name, which its metrics carry as a label and its tasks in their names;
    /// `server` if not set.
    pub fn name(mut self, name: impl Into<String>) -> Builder<S, L> {
        self.name = name.into();
        self
    }

    /// Adds a socket to accept connections from; there may be many, of both families.
    pub fn listen(mut self, listener: Listener) -> Builder<S, L> {
        self.listeners.push(listener);
        self
    }

    /// Sets the bounds.
    pub fn limits(mut self, limits: Limits) -> Builder<S, L> {
        self.limits = limits;
        self
    }

    /// Believes what `proxies` say of their clients by the PROXY protocol, version 1 or 2. By default
    /// no peer is believed.
    ///
    /// A connection of one of them has to begin with a PROXY header. It comes before everything else,
    /// also before TLS, and the time for it is part of [`Limits::handshake_timeout`]. The client that it
    /// tells of is the peer from then on: for [`Limits::per_address`], logs and services. Without a
    /// header, with a malformed one or with one of more than 4,112 bytes the connection is closed, with
    /// [`CloseReason::Handshake`] and a [`ProxyHeaderError`](super::ProxyHeaderError). A header that
    /// tells of no address (`LOCAL`, `UNKNOWN`, a client over a Unix socket) leaves the peer as it is.
    ///
    /// A proxy itself is not bounded by address. One of its connections whose client has too many is
    /// refused behind its header: it counts as accepted, as [refused](super::Refusal::PerAddress), and as
    /// closed with [`CloseReason::Refused`].
    ///
    /// From any other peer no header is expected and none is believed: its bytes go to the service.
    /// Trust addresses only from which nothing but the proxy can connect, as its word is not verified.
    /// Additions of version 2 (TLVs), their checksum among them, are skipped.
    ///
    /// ```
    /// use heist::Server;
    /// use heist::server::TrustedProxy;
    ///
    /// let proxy: TrustedProxy = "10.0.0.0/8".parse()?;
    /// let builder = Server::builder().proxy_protocol([proxy]);
    /// # drop(builder);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy_protocol(
        mut self,
        proxies: impl IntoIterator<Item = TrustedProxy>,
    ) -> Builder<S, L> {
        self.proxies = proxies.into_iter().collect();
        self
    }

    /// Sets which account each connection is charged to. By default each has its own:
    /// [`Accounts::per_connection`].
    ///
    /// Code of a request may choose another by
    /// [`set_account`](heist_scheduler::set_account), until the answer is complete.
    pub fn accounts(mut self, accounts: Accounts) -> Builder<S, L> {
        self.accounts = accounts;
        self
    }

    /// Calls `hook` with a listener's address and its error when it has failed for good. The
    /// server's other listeners go on, and it does not end by itself when there are none left.
    pub fn on_listener_lost(
        mut self,
        hook: impl Fn(&Address, &io::Error) + Send + Sync + 'static,
    ) -> Builder<S, L> {
        self.lost = Arc::new(hook);
        self
    }

    /// Asks `overloaded`, instead of the runtime itself, how far the runtime has more to do than it can: an
    /// [`OverloadLevel`], or `true` where all new work is to be refused. With [`Limits::shed`] new work is
    /// refused while it says so.
    ///
    /// It is called at each connection, and by some services at each request: it must return soon.
    pub fn overloaded_by<V: Into<OverloadLevel>>(
        mut self,
        overloaded: impl Fn(&Handle) -> V + Send + Sync + 'static,
    ) -> Builder<S, L> {
        self.overloaded = Box::new(move |runtime| overloaded(runtime).into());
        self
    }
}

impl Builder<NoService> {
    /// Puts `layer` between each connection and its service, which is set afterwards: the service is
    /// given the layer's [transport](crate::Transport) instead of the plain stream.
    pub fn transport<L: TransportLayer>(self, layer: L) -> Builder<NoService, L> {
        self.with(|Plain, none| (layer, none))
    }
}

/// What it serves.
impl<S, L> Builder<S, L> {
    /// Serves each connection with the protocol that `make` makes for it, on the
    /// [engine](crate::protocol), which enforces all limits of a connection.
    ///
    /// When the server drains, it calls [`draining`](Protocol::draining).
    pub fn protocol<P, M>(self, make: M) -> Builder<ByProtocol<M>, L>
    where
        L: TransportLayer,
        M: Fn(&Peer) -> P + Send + Sync + 'static,
        P: Protocol,
    {
        self.serve(ByProtocol::new(make))
    }

    /// As [`protocol`](Builder::protocol), for protocols with a [`Sender`](protocol::Sender) of their
    /// own: to register it where other connections find it, or to receive the answers of other tasks.
    pub fn protocol_with_inbox<P, M>(self, make: M) -> Builder<ByInbox<M, P>, L>
    where
        L: TransportLayer,
        M: Fn(&Peer, protocol::Sender<P::Message>) -> P + Send + Sync + 'static,
        P: Protocol,
    {
        self.serve(ByInbox::new(make))
    }

    /// Serves each connection with the future that `handle` makes of its stream: a
    /// [`Stream`](crate::Stream), or what the server's layer makes of it.
    ///
    /// The server bounds how many there are and counts their bytes. It ends a connection if its
    /// future was not woken for [`Limits::idle_timeout`] ([`idle_timeout`](Builder::idle_timeout) of this builder sets another), as its peer sends nothing or takes nothing.
    /// Before that it polls the future some more times, in case an event is still in the queue. The
    /// rest is up to the future: how long a message may be and may take, and how slow its peer may
    /// be (put a [`timeout`](heist_scheduler::time::timeout) around each). The future does not learn
    /// of a drain, and is dropped at the end of the grace. With [`accepted`](Builder::accepted) it
    /// can learn of it. Whether a connection counts as active in the metrics is as said there.
    pub fn handler<H, F>(self, handle: H) -> Builder<Handler<H>, L>
    where
        L: TransportLayer,
        H: Fn(L::Transport, Peer) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.serve(Handler::new(handle))
    }

    /// Serves each connection with the future that `handle` makes of the whole [`Accepted`]. With it
    /// come a [`DrainSignal`](super::DrainSignal) and the server's bounds, which are up to the future.
    ///
    /// The server bounds how many connections there are and counts their bytes. A connection counts
    /// until its future has completed: one that gives the stream to another task waits for that.
    ///
    /// In the [metrics](super::Metrics) a connection is idle while it waits for its peer: the last poll
    /// of its future left a read of the stream pending, and no write. Else it is active: while the future
    /// is polled, writes, or waits for anything else alone, such as a timer, a look-up or another task.
    /// Reads and writes that another task does on the stream do not count: a future that waits for that
    /// task is active. A read of a branch of a `select!` that lost counts as pending until the next poll,
    /// and code that reads ahead while it works seems idle. [`DrainSignal::set_busy`](super::DrainSignal::set_busy)
    /// says it instead.
    pub fn accepted<H, F>(self, handle: H) -> Builder<AcceptedHandler<H>, L>
    where
        L: TransportLayer,
        H: Fn(Accepted<L::Transport>) -> F + Send + Sync + 'static,
        F: Future<Output = CloseReason> + Send + 'static,
    {
        self.serve(AcceptedHandler::new(handle))
    }

    /// Serves each connection with `serve`.
    pub fn serve<S2>(self, serve: S2) -> Builder<S2, L>
    where
        L: TransportLayer,
        S2: Serve<L::Transport>,
    {
        self.with(|layer, _| (layer, serve))
    }

    /// The same with what `change` makes of the layer and the service.
    fn with<S2, L2>(self, change: impl FnOnce(L, S) -> (L2, S2)) -> Builder<S2, L2> {
        let Builder { name, listeners, limits, proxies, accounts, lost, overloaded, layer, serve } =
            self;
        let (layer, serve) = change(layer, serve);
        Builder { name, listeners, limits, proxies, accounts, lost, overloaded, layer, serve }
    }
}

impl<S, L> Builder<S, L> {
    /// Changes what it serves to something of the same type.
    pub(crate) fn map_service(self, change: impl FnOnce(S) -> S) -> Builder<S, L> {
        Builder { serve: change(self.serve), ..self }
    }
}

impl<S, L> Builder<S, L>
where
    L: TransportLayer,
    S: Serve<L::Transport>,
{
    /// Starts to accept, on the current runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`]: outside of a runtime, and as [`start_on`](Builder::start_on).
    pub fn start(self) -> Result<Server, StartError> {
        let runtime = Handle::try_current().ok_or(StartError::OutsideRuntime)?;
        self.start_on(&runtime)
    }

    /// Starts to accept, on the runtime of `runtime`.
    ///
    /// # Errors
    ///
    /// [`StartError`]: without a listener, what the system says, or that the runtime takes no task. Then
    /// nothing was started, and the listeners are closed.
    pub fn start_on(self, runtime: &Handle) -> Result<Server, StartError> {
        let Builder {
            name,
            listeners,
            limits,
            proxies,
            accounts,
            lost,
            overloaded,
            mut layer,
            mut serve,
        } = self;
        if listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        let mut sockets = Vec::new();
        for listener in listeners {
            let (bound, address, file) = listener.into_parts();
            let socket = RegisteredListener::new(runtime, bound, file)
                .map_err(|source| StartError::Listen { address: address.clone(), source })?;
            sockets.push((socket, address));
        }
        let shared = Arc::new(Shared::new(name, limits, proxies, accounts, runtime, overloaded));
        serve.start(&shared);
        layer.start(&shared, serve.alpn());
        let (layer, serve) = (Arc::new(layer), Arc::new(serve));
        let addresses = sockets.iter().map(|(_, address)| address.clone()).collect();
        let oneshots = acceptor_tasks(runtime, shared.name(), &sockets)?;
        for ((socket, address), oneshot) in sockets.into_iter().zip(oneshots) {
            let served = Served { layer: Arc::clone(&layer), serve: Arc::clone(&serve) };
            oneshot.send(Acceptor::new(socket, address, served, &shared, Arc::clone(&lost)));
        }
        let parts = Box::new(move || (serve.http_metrics(), layer.tls_metrics()));
        Ok(Server::new(shared, addresses, parts))
    }

    /// Starts to accept, on the current runtime, serves until `shutdown` completes, and then drains as
    /// [`Server::run_until`].
    ///
    /// What has to know the addresses begins with [`start`](Builder::start), and calls that one.
    ///
    /// ```no_run
    /// use heist::{Server, signal};
    /// use heist::net::Stream;
    /// use heist::server::Listener;
    ///
    /// async fn greet(mut stream: Stream) -> std::io::Result<()> {
    ///     stream.write_all(b"hello\n").await
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = Listener::tcp("127.0.0.1:7000".parse()?)?;
    /// let server = Server::builder().listen(listener).handler(|stream, _peer| greet(stream));
    /// let runtime = heist::Runtime::new()?;
    /// let report = runtime.block_on(server.run_until(signal::terminate()))?;
    /// println!("stopped: {report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start`](Builder::start).
    pub async fn run_until<F: Future>(self, shutdown: F) -> Result<Report, StartError> {
        Ok(self.start()?.run_until(shutdown).await)
    }
}

/// Where the task of an acceptor waits for it.
type AcceptorSlot<S, L> = Arc<Oneshot<Acceptor<S, L>>>;

/// Spawns a task for the acceptor of each socket; each waits for its acceptor. All of them, or none.
fn acceptor_tasks<S, L>(
    runtime: &Handle,
    server: &str,
    sockets: &[(RegisteredListener, Address)],
) -> Result<Vec<AcceptorSlot<S, L>>, StartError>
where
    L: TransportLayer,
    S: Serve<L::Transport>,
{
    let name: Arc<str> = format!("{server} acceptor").into();
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    let mut oneshots = Vec::new();
    for (_, address) in sockets {
        let oneshot = Oneshot::new();
        let waits = Arc::clone(&oneshot);
        let task = TaskBuilder::new().name(Arc::clone(&name)).spawn_on(runtime, async move {
            let acceptor: Acceptor<S, L> = poll_fn(|cx| waits.poll_receive(cx)).await;
            acceptor.run().await;
        });
        // It waits until it is given something: it has ended only if it was not taken.
        if task.is_finished() {
            tasks.iter().for_each(JoinHandle::abort);
            return Err(StartError::Refused { address: address.clone() });
        }
        tasks.push(task);
        oneshots.push(oneshot);
    }
    Ok(oneshots)
}

impl<S, L> fmt::Debug for Builder<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("listeners", &self.listeners)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
