//! Which account the connections of a server are charged to.

use std::fmt;
use std::sync::Arc;

use heist_scheduler::{Account, Weight, panics};

use crate::connection::origins::Origin;
use crate::socket::peer::Peer;

/// Which [account](Account) each connection of a server is charged to; set by
/// [`Builder::accounts`](super::Builder::accounts).
///
/// A worker runs first what has attained the least time lately, by account. All that runs for a
/// connection is charged to the connection's account: its task with all streams of HTTP/2, and the tasks
/// that its code spawns.
///
/// ```
/// use heist::Server;
/// use heist::server::Accounts;
///
/// // Each client has one share, however many connections it opens.
/// let builder = Server::builder().accounts(Accounts::per_peer_address());
/// # drop(builder);
/// ```
#[derive(Clone)]
#[must_use = "accounts are set by `Builder::accounts`"]
pub struct Accounts {
    key: Key,
    weight: Option<Weight>,
}

/// What tells accounts from each other.
#[derive(Clone)]
enum Key {
    Connection,
    PeerAddress,
    Function(Arc<dyn Fn(&Peer) -> Account + Send + Sync>),
}

impl Accounts {
    /// Each connection has an account of its own. This is the default.
    ///
    /// A peer that opens more connections has more accounts, and so more time.
    pub const fn per_connection() -> Accounts {
        Accounts { key: Key::Connection, weight: None }
    }

    /// All connections of one peer address share an account, on all servers of the runtime: those of one
    /// IPv4 address, or of one IPv6 network of 64 bits, in which one subscriber can have any address.
    ///
    /// Behind a [trusted proxy](super::Builder::proxy_protocol) the address is that of the client, which
    /// the PROXY header tells. The bytes of the header itself are charged to an account of the connection.
    /// Peers without an address, over Unix sockets, have one account a connection.
    pub const fn per_peer_address() -> Accounts {
        Accounts { key: Key::PeerAddress, weight: None }
    }

    /// The account of a connection is what `account` makes of its peer, such as
    /// [`Account::shared`] of the name of a tenant.
    ///
    /// It is called once a connection: at its accept, or behind its PROXY header. It must not block. Where
    /// it panics, the connection has an account of its own.
    pub fn by(account: impl Fn(&Peer) -> Account + Send + Sync + 'static) -> Accounts {
        Accounts { key: Key::Function(Arc::new(account)), weight: None }
    }

    /// Sets the weight of each of these accounts, instead of [`Weight::NORMAL`] or that of an account of
    /// [`by`](Accounts::by).
    ///
    /// ```
    /// use heist::Server;
    /// use heist::server::Accounts;
    /// use heist::task::Weight;
    ///
    /// // Health checks are answered first, whatever the other servers of the runtime do.
    /// let admin = Server::builder().accounts(Accounts::per_connection().weight(Weight::FIRST));
    /// # drop(admin);
    /// ```
    pub const fn weight(mut self, weight: Weight) -> Accounts {
        self.weight = Some(weight);
        self
    }

    /// Whether several connections may have one account, so that something is known of it before a
    /// connection has done anything.
    pub(super) fn are_shared(&self) -> bool {
        !matches!(self.key, Key::Connection)
    }

    /// Whether each of them goes first.
    pub(super) fn go_first(&self) -> bool {
        self.weight == Some(Weight::FIRST)
    }

    /// The account of a connection of which nothing is known but that it is one.
    pub(super) fn of_connection(&self) -> Account {
        self.weighted(Account::new())
    }

    /// The account of a connection of `peer`.
    pub(super) fn of_peer(&self, peer: &Peer) -> Account {
        self.weighted(match &self.key {
            Key::Connection => Account::new(),
            Key::PeerAddress => {
                peer.ip().map_or_else(Account::new, |address| Account::shared(&Origin::of(address)))
            }
            Key::Function(account) => {
                panics::contain_hook("the function of Accounts::by", || account(peer))
                    .unwrap_or_else(Account::new)
            }
        })
    }

    fn weighted(&self, account: Account) -> Account {
        match self.weight {
            Some(weight) => account.with_weight(weight),
            None => account,
        }
    }
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts::per_connection()
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.key {
            Key::Connection => "connection",
            Key::PeerAddress => "peer address",
            Key::Function(_) => "function",
        };
        f.debug_struct("Accounts").field("key", &key).field("weight", &self.weight).finish()
    }
}
