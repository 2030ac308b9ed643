//! Probing many peers: how many at once, and what happens when descriptors run out.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use heist::net::TcpStream;
use heist::protocol::{Connection, Limits};
use heist::time::{Instant, sleep};

use crate::descriptors;
use crate::limits::limits;
use crate::probe::{Event, Probe};
use crate::torrent::Torrent;
use crate::wire::{self, PeerId};

/// What all probes share.
pub(crate) struct Campaign {
    pub(crate) torrent: Torrent,
    pub(crate) id: PeerId,
    /// How long one peer may take for everything.
    pub(crate) timeout: Duration,
    limits: Arc<Limits>,
}

/// There was no free descriptor, or no memory, for a probe.
struct Shortage(io::Error);

impl Campaign {
    pub(crate) fn new(torrent: Torrent, timeout: Duration) -> Campaign {
        let limits = Arc::new(limits(torrent.pieces));
        Campaign { torrent, id: wire::new_peer_id(), timeout, limits }
    }

    /// Probes all `peers`, at most `most` of them at once.
    ///
    /// A probe without a descriptor has no result for its peer, which goes back into the queue
    /// until another probe ends. If no probe runs, something else holds the descriptors: then it
    /// tries again for as long as a peer may take.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut peers: BTreeSet<SocketAddr>,
        most: usize,
        events: Sender<Event>,
    ) {
        let mut running = FuturesUnordered::new();
        let mut at_once = most;
        let mut last_end = Instant::now();
        loop {
            while running.len() < at_once
                && let Some(address) = peers.pop_first()
            {
                let probe = heist::spawn(Arc::clone(&self).probe(address, events.clone()));
                running.push(async move { (address, probe.await) });
            }
            match running.next().await {
                None => return,
                Some((address, Ok(Err(Shortage(error))))) => {
                    peers.insert(address);
                    at_once = running.len().max(1);
                    let _ = events.send(Event::Shortage(error.to_string()));
                    if running.is_empty() && Instant::now() - last_end >= self.timeout {
                        return self.give_up(peers, &error, &events);
                    }
                    if running.is_empty() {
                        sleep(PAUSE).await;
                    }
                }
                Some((address, result)) => {
                    if let Err(panic) = result {
                        self.conversation(address, &events).failed(format!("the probe: {panic}"));
                    }
                    at_once = most.min(at_once + 1);
                    last_end = Instant::now();
                }
            }
        }
    }

    /// Probes one peer. Its report goes to `events`, unless there is a shortage.
    async fn probe(
        self: Arc<Self>,
        address: SocketAddr,
        events: Sender<Event>,
    ) -> Result<(), Shortage> {
        let start = Instant::now();
        match TcpStream::connect_timeout(address, self.timeout).await {
            Ok(stream) => {
                // The rest of the time is a deadline of the protocol: it knows what it waited for.
                let probe = self.conversation(address, &events).connected(start, self.timeout);
                Connection::new(stream, probe).limits(Arc::clone(&self.limits)).await;
            }
            Err(error) if descriptors::is_shortage(&error) => {
                return Err(Shortage(error));
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.conversation(address, &events).failed("timed out connecting".into());
            }
            Err(error) => {
                let failure = format!("could not connect: {error}");
                self.conversation(address, &events).failed(failure);
            }
        }
        Ok(())
    }

    fn conversation(&self, address: SocketAddr, events: &Sender<Event>) -> Probe {
        let Torrent { info_hash, pieces, .. } = self.torrent;
        Probe::new(address, info_hash, pieces, self.id, events.clone())
    }

    fn give_up(&self, peers: BTreeSet<SocketAddr>, error: &io::Error, events: &Sender<Event>) {
        for address in peers {
            let failure = format!("not probed, for want of a descriptor or memory: {error}");
            self.conversation(address, events).failed(failure);
        }
    }
}

/// Between two attempts while no probe runs.
const PAUSE: Duration = Duration::from_millis(100);
