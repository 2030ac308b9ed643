//! What all connections share.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heist::protocol::Sender;
use heist::server::Peer;
use heist::time::Instant;
use parking_lot::Mutex;

use crate::store::Store;

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) clients: Clients,
    pub(crate) started: Instant,
}

impl Shared {
    pub(crate) fn new(now: Instant) -> Shared {
        Shared { store: Store::new(now), clients: Clients::default(), started: now }
    }
}

/// A connection, as others see it.
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) name: Mutex<String>,
    peer: Peer,
    /// The way to its connection, which is sent nothing, but may be ended.
    connection: Sender<Infallible>,
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
        format!("id={} addr={} name={name} tot-cmds={commands}\n", self.id, self.peer)
    }
}

#[derive(Default)]
pub(crate) struct Clients {
    open: Mutex<BTreeMap<u64, Arc<Client>>>,
    ever: AtomicU64,
    /// Commands of those that have gone.
    past_commands: AtomicU64,
}

impl Clients {
    pub(crate) fn new_client(&self, peer: Peer, connection: Sender<Infallible>) -> Arc<Client> {
        let id = self.ever.fetch_add(1, Ordering::Relaxed) + 1;
        let (name, commands) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Client { id, name, peer, connection, commands })
    }

    pub(crate) fn insert(&self, client: &Arc<Client>) {
        self.open.lock().insert(client.id, Arc::clone(client));
    }

    pub(crate) fn remove(&self, client: &Client) {
        self.open.lock().remove(&client.id);
        self.past_commands.fetch_add(client.commands.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Ends a client's connection, also that of one who does not read its replies. Whether there was
    /// such a client.
    pub(crate) fn kill(&self, id: u64) -> bool {
        let client = self.open.lock().get(&id).cloned();
        client.inspect(|client| client.connection.abort()).is_some()
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
        let present = open.values().map(|client| client.commands.load(Ordering::Relaxed));
        self.past_commands.load(Ordering::Relaxed) + present.sum::<u64>()
    }

    pub(crate) fn list(&self) -> String {
        let open = self.open.lock();
        open.values().fold(String::new(), |mut list, client| {
            let _ = write!(list, "{}", client.describe());
            list
        })
    }
}
