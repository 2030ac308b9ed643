//! Handshakes and connections that wait, on virtual time.

use std::io::{Read, Write};
use std::time::Duration;

use heist_net::server::{CloseKind, Limits, Listener};
use heist_net::{Runtime, Server};
use heist_scheduler::time::{Clock, ManualClock};

use crate::authority::Authority;
use crate::client::{Client, ClientOptions, connect, rest, tls};
use crate::common::GUARD;
use crate::stage::{echo, plain_config, serve_within, until};

/// A server whose runtime's time is moved by hand.
struct Virtual {
    server: Server,
    authority: Authority,
    hand: ManualClock,
    runtime: Runtime,
}

impl Virtual {
    fn new(limits: Limits) -> Virtual {
        let (clock, hand) = Clock::manual();
        let builder = heist_net::Builder::new().ignore_environment().workers(1).clock(clock);
        let runtime = builder.start().unwrap();
        let authority = Authority::new();
        let config = plain_config(&authority.issue(&["localhost"])).build().unwrap();
        let server = serve_within(&runtime, config, limits, echo);
        Virtual { server, authority, hand, runtime }
    }

    /// Each connection begins with a PROXY header.
    fn behind_proxies(limits: Limits) -> Virtual {
        let Virtual { authority, hand, runtime, .. } = Virtual::new(limits.clone());
        let config = plain_config(&authority.issue(&["localhost"])).build().unwrap();
        let server = Server::builder()
            .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
            .limits(limits)
            .overloaded_by(|_| false)
            .proxy_protocol(["127.0.0.1".parse().unwrap()])
            .tls(config)
            .handler(async |stream, _| echo(stream).await)
            .start_on(runtime.handle())
            .unwrap();
        Virtual { server, authority, hand, runtime }
    }

    /// Moves time on, and lets the tasks run whose timers are due.
    fn pass(&self, time: Duration) {
        self.hand.advance(time);
        // It runs after the tasks that the move has woken.
        self.runtime.block_on(self.runtime.spawn(heist_scheduler::yield_now())).unwrap();
    }

    fn failed_for(&self, reason: &str) -> u64 {
        self.server.metrics().tls.unwrap().failed_for(reason)
    }
}

#[test]
fn stalled_handshake_ends_at_its_deadline_and_is_counted() {
    let stage = Virtual::new(Limits::default());
    let config = ClientOptions::default().config(&stage.authority);
    let mut hello = Vec::new();
    tls(&config, "localhost").write_tls(&mut hello).unwrap();
    for (number, length) in [0, 1, hello.len() / 2, hello.len()].into_iter().enumerate() {
        let mut socket = connect(&stage.server);
        socket.write_all(&hello[..length]).unwrap();
        let open =
            || stage.server.metrics().connections_active + stage.server.metrics().connections_idle;
        until(|| open() == 1);
        let patience = Limits::default().handshake_timeout;
        stage.pass(patience - Duration::from_secs(1));
        assert_eq!(stage.server.metrics().closed_by(CloseKind::HandshakeTimeout), number as u64);
        stage.pass(Duration::from_secs(2));
        rest(&mut socket);
        until(|| open() == 0);
        let closed = stage.server.metrics().closed_by(CloseKind::HandshakeTimeout);
        assert_eq!(closed, number as u64 + 1, "{:?}", stage.server.metrics());
        until(|| stage.failed_for("timeout") == number as u64 + 1);
    }
}

/// Failure: the deadline counts from the accept, and a handshake that began later was counted as cut.
#[test]
fn handshake_that_began_behind_a_late_header_is_still_too_late() {
    let stage = Virtual::behind_proxies(Limits::default());
    let config = ClientOptions::default().config(&stage.authority);
    let mut bytes = b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 443\r\n".to_vec();
    tls(&config, "localhost").write_tls(&mut bytes).unwrap();
    let mut socket = connect(&stage.server);
    until(|| {
        stage.server.metrics().connections_active + stage.server.metrics().connections_idle == 1
    });
    let more_than_half = Limits::default().handshake_timeout / 2 + Duration::from_secs(1);
    stage.pass(more_than_half);
    socket.write_all(&bytes).unwrap();
    // Once the server has answered, the handshake has begun.
    socket.read_exact(&mut [0]).unwrap();
    stage.pass(more_than_half);
    rest(&mut socket);
    until(|| stage.failed_for("timeout") == 1);
    assert_eq!(stage.failed_for("cut"), 0);
}

#[test]
fn handshake_in_a_drain_may_end_and_one_that_stalls_is_cut() {
    let stage = Virtual::new(Limits::default());
    let config = ClientOptions::default().config(&stage.authority);
    let mut stalled = connect(&stage.server);
    stalled.write_all(&[22, 3, 1]).unwrap();
    let mut client = Client::new(&stage.server, &config, "localhost");
    let open =
        || stage.server.metrics().connections_active + stage.server.metrics().connections_idle;
    until(|| open() == 2);
    let drain = std::thread::scope(|scope| {
        let drain = scope.spawn(|| stage.server.drain_blocking(GUARD));
        until(|| stage.server.shared().is_draining());
        // A handshake that goes on during the drain comes to its end.
        client.handshake().unwrap();
        drop(client);
        until(|| {
            stage.pass(Duration::from_secs(1));
            open() == 0
        });
        drain.join().unwrap()
    });
    rest(&mut stalled);
    assert_eq!(open(), 0, "{drain}");
    until(|| stage.failed_for("cut") == 1);
}

#[test]
fn tickets_are_sent_to_a_client_that_only_waits() {
    let stage = Virtual::new(Limits::default());
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.handshake().unwrap();
    // Nothing was written by the service: this is what the session has to say.
    while client.tls.tls13_tickets_received() == 0 {
        assert_ne!(client.tls.read_tls(&mut client.socket).unwrap(), 0);
        client.tls.process_new_packets().unwrap();
    }
    client.ask("hello");
}

#[test]
fn quiet_connection_is_idle_and_closed() {
    let stage = Virtual::new(Limits::default());
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.ask("hello");
    stage.pass(Limits::default().idle_timeout + Duration::from_secs(1));
    until(|| {
        stage.pass(Duration::from_millis(1));
        stage.server.metrics().closed_by(CloseKind::IdleTimeout) == 1
    });
    client.read(&mut [0]).unwrap_err();
}
