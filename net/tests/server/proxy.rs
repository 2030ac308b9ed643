//! The PROXY protocol, from proxies that are trusted and from peers that are not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use heist_net::server::{
    Accepted, Builder, ByProtocol, CloseKind, CloseReason, Handler, Limits, Listener, Metrics,
    NoService, Peer, Refusal, TrustedProxy,
};
use heist_net::{Server, Stream};

use crate::common::{GUARD, runtime};
use crate::stage::{Client, Echo, Stage, patient, server, until};

/// Tells each peer who it is, then sends back what it sends.
async fn tell(mut stream: Stream, peer: Peer) -> std::io::Result<()> {
    stream.write_all(format!("{peer}\n").as_bytes()).await?;
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

fn trusting(limits: Limits, proxies: &[&str]) -> Builder<NoService> {
    server(limits).proxy_protocol(proxies.iter().map(|proxy| proxy.parse().unwrap()))
}

/// A server that trusts this machine, and tells each peer who it is.
fn telling(
    limits: Limits,
) -> Builder<Handler<impl Fn(Stream, Peer) -> Told + Send + Sync + 'static>> {
    trusting(limits, &["127.0.0.1"]).handler(|stream, peer| Box::pin(tell(stream, peer)) as Told)
}

type Told = std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

/// As [`telling`], with the engine.
fn echoing(limits: Limits) -> Builder<ByProtocol<impl Fn(&Peer) -> Echo + Send + Sync + 'static>> {
    trusting(limits, &["127.0.0.1"]).protocol(|_: &Peer| Echo::default())
}

fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.2 4321 443\r\n").into_bytes()
}

/// A header of version 2.
fn binary(command_and_family: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &command_and_family[..], &length, rest].concat()
}

fn binary_v4(client: [u8; 4]) -> Vec<u8> {
    binary([0x21, 0x11], &[&client[..], &[198, 51, 100, 2, 0x10, 0xE1, 1, 0xBB]].concat())
}

fn binary_v6() -> Vec<u8> {
    let mut rest = [0; 36];
    rest[..2].copy_from_slice(&[0x20, 0x01]);
    rest[15] = 7;
    rest[32..].copy_from_slice(&[0x10, 0xE1, 1, 0xBB]);
    binary([0x21, 0x21], &rest)
}

fn send(client: &mut Client, bytes: &[u8]) {
    client.0.write_all(bytes).unwrap();
}

/// What a connection with this front is told of its peer.
fn told(server: &Server, front: &[u8]) -> (String, Client) {
    let mut client = Client::new(server);
    send(&mut client, front);
    let mut told = String::new();
    let mut byte = [0];
    while !told.ends_with('\n') {
        client.0.read_exact(&mut byte).unwrap();
        told.push(char::from(byte[0]));
    }
    told.pop();
    (told, client)
}

/// Each connection that was accepted has ended, with one of these reasons, or is open.
fn assert_adds_up(metrics: &Metrics) {
    let ended: u64 = metrics.closed.iter().map(|(_, count)| count).sum();
    let open = metrics.connections_active + metrics.connections_idle;
    assert_eq!(metrics.accepted, ended + open, "{metrics:?}");
}

#[test]
fn client_of_a_trusted_proxy_is_the_peer_in_both_versions() {
    let runtime = runtime();
    let server = telling(patient()).start_on(runtime.handle()).unwrap();
    for (header, peer) in [
        (line("192.0.2.1"), "192.0.2.1:4321"),
        (b"PROXY TCP6 2001::7 2001::8 4321 443\r\n".to_vec(), "[2001::7]:4321"),
        (binary_v4([192, 0, 2, 1]), "192.0.2.1:4321"),
        (binary_v6(), "[2001::7]:4321"),
    ] {
        // The request is in the segment of the header.
        let (told, mut client) = told(&server, &[&header[..], b"hello\n"].concat());
        assert_eq!(told, peer);
        client.expect("hello\n");
        client.ask("and once more\n");
    }
}

#[test]
fn header_without_an_address_leaves_the_peer_of_the_socket() {
    let runtime = runtime();
    let server = telling(patient()).start_on(runtime.handle()).unwrap();
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ::1 ::2 1 2\r\n".to_vec(),
        binary([0x20, 0x00], &[]),
        binary([0x20, 0x11], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        binary([0x21, 0x31], &[b'x'; 216]),
    ] {
        let (told, client) = told(&server, &header);
        assert_eq!(told, client.0.local_addr().unwrap().to_string());
    }
}

#[test]
fn header_is_read_wherever_it_is_cut_in_two() {
    let runtime = runtime();
    let server = telling(patient()).start_on(runtime.handle()).unwrap();
    for header in [line("192.0.2.1"), binary_v4([192, 0, 2, 1])] {
        let all = [&header[..], b"hello\n"].concat();
        for cut in 1..all.len() {
            let mut client = Client::new(&server);
            client.0.set_nodelay(true).unwrap();
            let read = server.metrics().bytes_read;
            send(&mut client, &all[..cut]);
            // The first segment has been read, where bytes are counted.
            until(|| server.metrics().bytes_read > read || cfg!(not(feature = "metrics")));
            send(&mut client, &all[cut..]);
            client.expect("192.0.2.1:4321\nhello\n");
        }
    }
}

/// Failure: a peer chose its own address in the log, and in front of the limits.
#[test]
fn header_of_a_peer_that_is_not_trusted_is_its_input() {
    let runtime = runtime();
    for proxies in [&[][..], &["10.0.0.0/8", "::/0", "unix"]] {
        let server = trusting(Limits::default(), proxies).handler(tell);
        let server = server.start_on(runtime.handle()).unwrap();
        let (told, mut client) = told(&server, b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n");
        assert_eq!(told, client.0.local_addr().unwrap().to_string());
        client.expect("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n");
    }
}

#[test]
fn trusted_proxy_without_a_valid_header_is_closed_and_counted() {
    let runtime = runtime();
    let server = telling(patient()).start_on(runtime.handle()).unwrap();
    let fronts: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
        &[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\x01",
        b"PROXY TCP4 192.0.2.1 198.51",
    ];
    for front in fronts {
        let mut client = Client::new(&server);
        send(&mut client, front);
        let _ = client.0.shutdown(std::net::Shutdown::Write);
        client.assert_closed();
    }
    until(|| server.metrics().closed_by(CloseKind::Handshake) == fronts.len() as u64);
    assert_adds_up(&server.metrics());
}

#[test]
fn limit_of_an_address_is_that_of_the_client_and_not_of_its_proxy() {
    let runtime = runtime();
    let limits = Limits { per_address: 2, limit_loopback: true, ..patient() };
    let server = telling(limits).start_on(runtime.handle()).unwrap();
    let mut open: Vec<_> = (1..=8).map(|n| told(&server, &binary_v4([192, 0, 2, n]))).collect();
    open.push(told(&server, &line("192.0.2.1")));
    // Nor is the proxy bounded that speaks for itself.
    open.extend((0..4).map(|_| told(&server, &binary([0x20, 0], &[]))));
    for refused in 1..=3 {
        let mut client = Client::new(&server);
        send(&mut client, &[&binary_v4([192, 0, 2, 1])[..], b"hello\n"].concat());
        client.assert_closed();
        until(|| server.metrics().closed_by(CloseKind::Refused) == refused);
        assert_eq!(server.metrics().refused_for(Refusal::PerAddress), refused);
    }
    assert_adds_up(&server.metrics());
    // The end of one makes room for another.
    open.remove(0);
    until(|| server.metrics().closed_by(CloseKind::Finished) == 1);
    assert_eq!(told(&server, &line("192.0.2.1")).0, "192.0.2.1:4321");
    assert_adds_up(&server.metrics());
}

#[test]
fn refused_client_of_a_proxy_gets_the_response_of_the_service() {
    struct Refusing;

    impl heist_net::server::Serve for Refusing {
        fn serve(
            &self,
            accepted: Accepted,
        ) -> impl Future<Output = CloseReason> + Send + 'static + use<> {
            async move {
                let mut stream = accepted.stream;
                let _ = stream.write_all(format!("{:?}", accepted.proxy).as_bytes()).await;
                let _ = stream.read(&mut [0]).await;
                CloseReason::Finished
            }
        }

        fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
            (reason == Refusal::PerAddress).then_some(b"too many of you")
        }
    }

    let runtime = runtime();
    let limits = Limits { per_address: 1, ..patient() };
    let server = trusting(limits, &["127.0.0.1"]).serve(Refusing);
    let server = server.start_on(runtime.handle()).unwrap();
    let mut first = Client::new(&server);
    send(&mut first, &line("192.0.2.1"));
    let proxy = Peer::Tcp(first.0.local_addr().unwrap());
    first.expect(&format!("{:?}", Some(proxy)));
    let mut second = Client::new(&server);
    send(&mut second, &[&line("192.0.2.1")[..], b"a request\n"].concat());
    assert_eq!(second.rest(), "too many of you");
}

#[test]
fn unix_peers_are_proxies_by_choice() {
    let runtime = runtime();
    let path = std::env::temp_dir().join(format!("heist-proxy-{}.sock", std::process::id()));
    let server = Server::builder()
        .listen(Listener::unix(&path).unwrap())
        .overloaded_by(|_| false)
        .proxy_protocol([TrustedProxy::Unix])
        .handler(tell)
        .start_on(runtime.handle())
        .unwrap();
    for (header, peer) in
        [(line("192.0.2.1"), "192.0.2.1:4321\n"), (binary([0x20, 0], &[]), "unix\n")]
    {
        let mut local = UnixStream::connect(&path).unwrap();
        local.set_read_timeout(Some(GUARD)).unwrap();
        local.write_all(&header).unwrap();
        let mut told = vec![0; peer.len()];
        local.read_exact(&mut told).unwrap();
        assert_eq!(String::from_utf8(told).unwrap(), peer);
    }
    server.drain_blocking(Duration::from_secs(60));
}

/// Failure: a peer that is trusted kept a place for ever by sending half of a header.
#[test]
fn stalled_header_is_closed_at_the_handshake_timeout() {
    let stage = Stage::new();
    let limits = Limits { handshake_timeout: Duration::from_secs(10), ..Limits::default() };
    let server = echoing(limits).start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    send(&mut client, &line("192.0.2.1")[..20]);
    until(|| server.metrics().accepted == 1);
    stage.pass(Duration::from_millis(9_999));
    assert_eq!(server.metrics().closed_by(CloseKind::HandshakeTimeout), 0);
    stage.pass(Duration::from_millis(2));
    client.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::HandshakeTimeout) == 1);
    // One whose header came has all the time that the service gives.
    let mut other = Client::new(&server);
    send(&mut other, &line("192.0.2.1"));
    other.ask("hello\n");
    stage.pass(Duration::from_secs(20));
    other.ask("still here\n");
    assert_adds_up(&server.metrics());
}

/// Failure: a slow header left the service less time for its first request.
#[test]
fn time_of_the_service_begins_behind_the_header() {
    let stage = Stage::new();
    let server = trusting(Limits::default(), &["127.0.0.1"]).accepted(|accepted: Accepted| {
        let Accepted { mut stream, accepted_at, .. } = accepted;
        async move {
            let seconds = format!("{}\n", accepted_at.as_nanos() / 1_000_000_000);
            let _ = stream.write_all(seconds.as_bytes()).await;
            CloseReason::Finished
        }
    });
    let server = server.start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    send(&mut client, &line("192.0.2.1")[..20]);
    until(|| server.metrics().accepted == 1);
    stage.pass(Duration::from_secs(9));
    send(&mut client, &line("192.0.2.1")[20..]);
    client.expect("9\n");
}

#[test]
fn drain_ends_a_connection_in_its_header_and_serves_one_whose_rest_comes() {
    let stage = Stage::new();
    let server = Arc::new(echoing(Limits::default()).start_on(stage.runtime.handle()).unwrap());
    let (mut silent, mut late) = (Client::new(&server), Client::new(&server));
    send(&mut silent, &line("192.0.2.1")[..20]);
    send(&mut late, &line("192.0.2.2")[..20]);
    until(|| server.metrics().accepted == 2);
    let drained = Arc::clone(&server);
    let draining = stage.runtime.spawn(async move { drained.drain(GUARD).await });
    until(|| server.shared().is_draining());
    stage.pass(Duration::ZERO);
    send(&mut late, &line("192.0.2.2")[20..]);
    late.ask("in time\n");
    stage.pass(Duration::from_secs(2));
    silent.assert_closed();
    assert_eq!(late.rest(), "");
    // The server waits for it to close, too.
    drop(late);
    let report = stage.runtime.block_on(draining).unwrap();
    assert_eq!((report.force_closed, server.metrics().accepted), (0, 2));
    assert_adds_up(&server.metrics());
}
