//! Handshakes that do not come to a good end.

use std::io::{Read, Write};
use std::net::Shutdown;

use heist_net::server::{CloseKind, Limits};
use rustls::AlertDescription;
use rustls::version::TLS12;

use crate::authority::Authority;
use crate::client::{Client, ClientOptions, connect, rest, tls};
use crate::common::GUARD;
use crate::stage::{Stage, echo, until};

/// The first flight of a client.
fn client_hello(stage: &Stage) -> Vec<u8> {
    let config = ClientOptions::default().config(&stage.authority);
    let mut bytes = Vec::new();
    tls(&config, "localhost").write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn text_is_answered_in_plain_http_and_counted() {
    let stage = Stage::echo();
    let mut socket = connect(&stage.server);
    socket.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let answer = String::from_utf8(rest(&mut socket)).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    until(|| stage.metrics().failed_for("not_tls") == 1);
    until(|| stage.server.metrics().closed_by(CloseKind::Handshake) == 1);
}

#[test]
fn garbage_is_answered_by_an_alert_and_counted() {
    let stage = Stage::echo();
    for garbage in [&[0; 100][..], &[0xff; 20_000], &[0x80, 0x2e, 1, 0, 2, 0, 0, 0, 0, 0]] {
        let mut socket = connect(&stage.server);
        socket.write_all(garbage).unwrap();
        let answer = rest(&mut socket);
        assert_eq!(answer.first(), Some(&21), "no alert, but {answer:?}");
    }
    until(|| stage.metrics().failed_for("not_tls") == 3);
    // A handshake record without sense in it.
    let mut socket = connect(&stage.server);
    socket.write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
    assert_eq!(rest(&mut socket).first(), Some(&21));
    until(|| stage.metrics().failed_for("protocol") == 1);
}

#[test]
fn flood_of_empty_records_is_refused() {
    let stage = Stage::echo();
    let mut socket = connect(&stage.server);
    let _ = socket.write_all(&[22, 3, 1, 0, 0].repeat(10_000));
    rest(&mut socket);
    until(|| stage.metrics().failed_for("protocol") == 1);
}

#[test]
fn handshake_that_is_too_large_is_refused() {
    let limits = Limits { handshake_bytes: 4096, ..Limits::default() };
    let stage = Stage::with(|config| config, limits, echo);
    let mut socket = connect(&stage.server);
    // A ClientHello of 60,000 bytes, in records of 1,000.
    let mut hello = vec![1, 0, 0xea, 0x60];
    hello.resize(4 + 60_000, 0);
    for record in hello.chunks(1000) {
        let head = [22, 3, 1, (record.len() >> 8) as u8, record.len() as u8];
        let _ = socket.write_all(&[&head, record].concat());
    }
    let alert = rest(&mut socket);
    assert!(alert.is_empty() || alert[0] == 21, "{alert:?}");
    until(|| stage.metrics().failed_for("too_large") == 1);
    // A normal one has room.
    let config = ClientOptions::default().config(&stage.authority);
    Client::new(&stage.server, &config, "localhost").ask("hello");
}

#[test]
fn client_that_leaves_is_counted_as_lost() {
    let stage = Stage::echo();
    let hello = client_hello(&stage);
    for length in [0, 3, hello.len() - 1, hello.len()] {
        let mut socket = connect(&stage.server);
        socket.write_all(&hello[..length]).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        rest(&mut socket);
    }
    until(|| stage.metrics().failed_for("lost") == 4);
    until(|| stage.server.metrics().closed_by(CloseKind::Lost) == 4);
}

#[test]
fn client_that_does_not_trust_the_server_is_counted() {
    let stage = Stage::echo();
    let config = ClientOptions::default().config(&Authority::new());
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.handshake().unwrap_err();
    until(|| stage.metrics().failed_for("alert") == 1);
}

#[test]
fn client_of_an_old_version_is_told_so() {
    let stage = Stage::with(
        |config| config.oldest(heist_net::tls::Version::Tls13),
        Limits::default(),
        echo,
    );
    let options = ClientOptions { versions: vec![&TLS12], ..ClientOptions::default() };
    let mut client = Client::new(&stage.server, &options.config(&stage.authority), "localhost");
    assert_eq!(client.refusal(), AlertDescription::ProtocolVersion);
    until(|| stage.metrics().failed_for("nothing_in_common") == 1);
}

#[test]
fn alert_is_not_destroyed_by_what_the_client_still_sends() {
    // The client is heard out however long it takes.
    let limits = Limits { linger_timeout: 60 * GUARD, ..Limits::default() };
    let stage = Stage::with(|config| config, limits, echo);
    for _ in 0..20 {
        let mut socket = connect(&stage.server);
        // Far more than the server reads before it refuses.
        let _ = socket.write_all(&[0xff; 150_000]);
        let _ = socket.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("a reset would destroy the alert");
        assert_eq!(answer.first(), Some(&21), "{answer:?}");
    }
}

/// Failure: a connection that was refused before its handshake was sent plain bytes, or none.
#[test]
fn refused_connection_is_sent_an_alert() {
    let limits = Limits { per_address: 1, limit_loopback: true, ..Limits::default() };
    let stage = Stage::with(|config| config, limits, echo);
    let first = connect(&stage.server);
    until(|| stage.server.metrics().accepted == 1);
    let alert = rest(&mut connect(&stage.server));
    let internal_error = u8::from(AlertDescription::InternalError);
    assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, internal_error]);
    drop(first);
}
