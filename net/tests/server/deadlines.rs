//! Deadlines of protocol connections, none of which may be lost.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heist_net::Server;
use heist_net::protocol::{self, CloseReason, Context, Protocol};
use heist_net::server::{Limits, Peer};
use heist_scheduler::time::Instant;

use crate::common::GUARD;
use crate::order::TwoWorkers;
use crate::stage::{Client, server};

/// Reports its calls to the test.
struct Watched {
    deadline_in: Option<Duration>,
    sender: protocol::Sender<()>,
    tell: Sender<Told>,
}

enum Told {
    Opened { worker: ThreadId, now: Instant, sender: protocol::Sender<()> },
    Message { now: Instant },
    Deadline { now: Instant },
    Closed { idle: bool },
}

impl Protocol for Watched {
    type Message = ();

    fn opened(&mut self, cx: &mut Context<'_>) {
        if let Some(duration) = self.deadline_in {
            cx.set_deadline_in(duration);
        }
        let (worker, sender) = (thread::current().id(), self.sender.clone());
        let _ = self.tell.send(Told::Opened { worker, now: cx.now(), sender });
    }

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }

    fn message(&mut self, (): (), cx: &mut Context<'_>) {
        let _ = self.tell.send(Told::Message { now: cx.now() });
    }

    fn deadline(&mut self, cx: &mut Context<'_>) {
        let _ = self.tell.send(Told::Deadline { now: cx.now() });
    }

    fn closed(&mut self, reason: &CloseReason) {
        let _ = self.tell.send(Told::Closed { idle: matches!(reason, CloseReason::IdleTimeout) });
    }
}

/// A connection whose timer fires while another worker runs its task because of a message.
struct Overtaken {
    workers: TwoWorkers,
    _server: Server,
    _client: Client,
    told: Receiver<Told>,
    deadline: Instant,
}

impl Overtaken {
    fn new(deadline_in: Option<Duration>) -> Overtaken {
        let workers = TwoWorkers::new();
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let server = server(Limits::default())
            .protocol_with_inbox(move |_: &Peer, sender| {
                let tell = tell.lock().unwrap().clone();
                Watched { deadline_in, sender, tell }
            })
            .start_on(workers.runtime.handle())
            .unwrap();
        let client = Client::new(&server);
        let Told::Opened { worker, now, sender } = told.recv_timeout(GUARD).unwrap() else {
            panic!("a connection is opened first");
        };
        let deadline = now + deadline_in.unwrap_or(Limits::default().idle_timeout);
        workers.fire_behind_a_run(
            worker,
            deadline,
            move || sender.try_send(()).unwrap(),
            || match told.recv_timeout(GUARD).unwrap() {
                Told::Message { now } => assert!(now < deadline, "it ran with a time before"),
                _ => panic!("the message comes first"),
            },
        );
        Overtaken { workers, _server: server, _client: client, told, deadline }
    }
}

/// Failure: the connection relied on a timer that had fired already on another worker, and the
/// deadline of the protocol was never called.
#[test]
fn deadline_that_passes_behind_the_back_of_a_run_is_called() {
    let overtaken = Overtaken::new(Some(Duration::from_secs(10)));
    match overtaken.told.recv_timeout(GUARD) {
        Ok(Told::Deadline { now }) => assert!(now >= overtaken.deadline),
        _ => panic!("the deadline was lost"),
    }
}

/// Failure: as above, with the idle limit: the connection stayed open for ever.
#[test]
fn idle_limit_that_passes_behind_the_back_of_a_run_is_kept() {
    let overtaken = Overtaken::new(None);
    match overtaken.told.recv_timeout(GUARD) {
        Ok(Told::Closed { idle }) => assert!(idle),
        _ => panic!("the limit was lost"),
    }
    drop(overtaken.workers);
}
