//! Plaintext arrives as it was sent.

use std::io::{Read, Write};
use std::thread;

use heist_net::Transport;
use heist_net::server::Limits;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;

use crate::client::{Client, ClientOptions};
use crate::stage::{Stage, echo};

/// Bytes in which a lost, doubled or swapped part would show.
fn pattern(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(|word| word.to_le_bytes()).take(length).collect()
}

#[test]
fn both_versions_echo() {
    let stage = Stage::echo();
    for version in [&TLS12, &TLS13] {
        let options = ClientOptions { versions: vec![version], ..ClientOptions::default() };
        let config = options.config(&stage.authority);
        let mut client = Client::new(&stage.server, &config, "localhost");
        client.ask("hello");
        client.ask("again");
        client.close_notify();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
        assert_eq!(client.tls.protocol_version(), Some(version.version));
    }
}

/// Sends `length` bytes both ways at once, through sockets of small buffers.
fn echo_large(length: usize, chunk: usize) {
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |stream| {
            SockRef::from(stream.stream()).set_send_buffer_size(32 * 1024).unwrap();
            SockRef::from(stream.stream()).set_recv_buffer_size(32 * 1024).unwrap();
            echo(stream)
        },
    );
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.handshake().unwrap();
    let sent = pattern(length);
    // The client's session is one value: it writes a chunk, then reads the answer to an earlier one.
    let mut received = Vec::new();
    let mut buffer = vec![0; chunk];
    let ahead = 64 * 1024;
    let mut written = 0;
    while received.len() < length {
        while written < length && written < received.len() + ahead {
            let end = (written + chunk).min(length);
            client.write_all(&sent[written..end]).unwrap();
            written = end;
        }
        let count = client.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "ended after {} bytes", received.len());
        received.extend_from_slice(&buffer[..count]);
    }
    assert!(received == sent, "the bytes are not the same");
    client.close_notify();
    assert_eq!(client.read(&mut buffer).unwrap(), 0);
}

#[test]
fn eight_mebibytes_come_back() {
    echo_large(8 * 1024 * 1024, 32 * 1024);
}

#[test]
fn odd_chunks_come_back() {
    echo_large(256 * 1024, 1021);
}

#[test]
fn download_waits_for_a_slow_reader_and_loses_nothing() {
    const LENGTH: usize = 12 * 1024 * 1024;
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |mut stream| async move {
            SockRef::from(stream.stream()).set_send_buffer_size(32 * 1024).unwrap();
            let bytes = pattern(LENGTH);
            stream.write_all(&bytes).await?;
            stream.finish().await
        },
    );
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    SockRef::from(&client.socket).set_recv_buffer_size(32 * 1024).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == pattern(LENGTH), "the bytes are not the same");
}

#[test]
fn upload_arrives_in_order() {
    const LENGTH: usize = 12 * 1024 * 1024;
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |mut stream| async move {
            let mut received = Vec::new();
            let mut buffer = vec![0; 10_000];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    count => received.extend_from_slice(&buffer[..count]),
                }
            }
            let verdict = if received == pattern(LENGTH) { "same" } else { "different" };
            stream.write_all(verdict.as_bytes()).await?;
            stream.finish().await
        },
    );
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.write_all(&pattern(LENGTH)).unwrap();
    client.close_notify();
    let mut verdict = String::new();
    client.read_to_string(&mut verdict).unwrap();
    assert_eq!(verdict, "same");
}

#[test]
fn many_clients_at_once_are_served() {
    let stage = Stage::echo();
    let config = ClientOptions::default().config(&stage.authority);
    thread::scope(|scope| {
        for number in 0..8 {
            let (stage, config) = (&stage, &config);
            scope.spawn(move || {
                for round in 0..4 {
                    let mut client = Client::new(&stage.server, config, "localhost");
                    client.ask(&format!("client {number}, round {round}"));
                }
            });
        }
    });
}

#[test]
fn no_record_of_a_flood_of_tiny_ones_is_lost() {
    let stage = Stage::echo();
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.receive_handshake();
    let mut bytes = client.outgoing();
    for _ in 0..20_000 {
        client.tls.writer().write_all(b"x").unwrap();
        bytes.extend(client.outgoing());
    }
    client.socket.write_all(&bytes).unwrap();
    let mut answer = vec![0; 20_000];
    client.read_exact(&mut answer).unwrap();
    assert!(answer.iter().all(|&byte| byte == b'x'));
}

#[test]
fn waiting_connection_owns_no_buffer() {
    const LENGTHS: [usize; 5] = [10, 1000, 1001, 16_384, 50_000];
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |mut stream| async move {
            // Less than a record is read at a time: the rest waits in the connection.
            let mut buffer = vec![0; 1000];
            for length in LENGTHS {
                let mut left = length;
                while left > 0 {
                    let count = stream.read(&mut buffer).await?;
                    left -= count;
                    assert!(count > 0 && (left > 0 || !stream.has_buffered_input()));
                    stream.write_all(&buffer[..count]).await?;
                }
                assert_eq!((stream.memory(), stream.unsent()), (0, 0), "after {length}");
            }
            stream.finish().await
        },
    );
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    for length in LENGTHS {
        client.ask(&"x".repeat(length));
    }
    client.read_to_end(&mut Vec::new()).unwrap();
    assert!(size_of::<heist_net::tls::TlsStream>() <= 96);
}
