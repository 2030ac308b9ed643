//! What all connections share.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heist::protocol::{Limits, Sender};
use heist::time::Instant;
use parking_lot::Mutex;

use crate::store::Store;

pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) clients: Clients,
    pub(crate) started: Instant,
    pub(crate) limits: Arc<Limits>,
}

impl Server {
    pub(crate) fn new(now: Instant) -> Server {
        let (store, clients) = (Store::new(now), Clients::default());
        Server { store, clients, started: now, limits: Arc::new(limits()) }
    }
}

/// What one connection may take.
///
/// `max_message` stays what it is, far below the longest request: `resp::LongRequest` takes those
/// in pieces. A client that is refused in the middle of a long one sees why only once it has sent
/// the rest, so that much is discarded before its connection is closed.
fn limits() -> Limits {
    Limits { linger_bytes: 32 * 1024 * 1024, ..Limits::default() }
}

/// A connection, as others see it.
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) name: Mutex<String>,
    address: SocketAddr,
    /// How many commands it sent. Each connection counts by itself: one counter for all would be
    /// fought for by every worker at every command.
    commands: AtomicU64,
}

impl Client {
    pub(crate) fn count_command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }

    /// Its line in CLIENT LIST.
    pub(crate) fn describe(&self) -> String {
        let (name, commands) = (self.name.lock(), self.commands.load(Ordering::Relaxed));
        format!("id={} addr={} name={name} tot-cmds={commands}\n", self.id, self.address)
    }
}

/// Told to a connection that is to end.
pub(crate) struct Kill;

/// A client, and the way to its connection.
type Open = (Arc<Client>, Sender<Kill>);

#[derive(Default)]
pub(crate) struct Clients {
    open: Mutex<BTreeMap<u64, Open>>,
    ever: AtomicU64,
    /// Commands of those that have gone.
    past_commands: AtomicU64,
}

impl Clients {
    pub(crate) fn new_client(&self, address: SocketAddr) -> Arc<Client> {
        let id = self.ever.fetch_add(1, Ordering::Relaxed) + 1;
        let (name, commands) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Client { id, name, address, commands })
    }

    pub(crate) fn insert(&self, client: Arc<Client>, inbox: Sender<Kill>) {
        self.open.lock().insert(client.id, (client, inbox));
    }

    pub(crate) fn remove(&self, client: &Client) {
        self.open.lock().remove(&client.id);
        self.past_commands.fetch_add(client.commands.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Whether there was such a client.
    pub(crate) fn kill(&self, id: u64) -> bool {
        let open = self.open.lock();
        open.get(&id).is_some_and(|(_, inbox)| inbox.try_send(Kill).is_ok())
    }

    pub(crate) fn count(&self) -> usize {
        self.open.lock().len()
    }

    /// How many there were since the start.
    pub(crate) fn ever(&self) -> u64 {
        self.ever.load(Ordering::Relaxed)
    }

    pub(crate) fn commands(&self) -> u64 {
        let open = self.open.lock();
        let present = open.values().map(|(client, _)| client.commands.load(Ordering::Relaxed));
        self.past_commands.load(Ordering::Relaxed) + present.sum::<u64>()
    }

    pub(crate) fn list(&self) -> String {
        let open = self.open.lock();
        open.values().fold(String::new(), |mut list, (client, _)| {
            let _ = write!(list, "{}", client.describe());
            list
        })
    }
}
