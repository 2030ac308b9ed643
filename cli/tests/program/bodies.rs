//! Bodies: echoed as they arrive, read and hashed, refused when too long.

use std::io::Write;
use std::thread;

use heist_tests::hang_guard;
use sha2::{Digest, Sha256};

use crate::child::Program;
use heist_tests::http_client::{Client, Response, chunked};

/// Bytes whose period differs from the length of any buffer.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|index| (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect()
}

fn post(client: &mut Client, path: &str, body: &[u8]) -> Response {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
    let mut sender = client.sender();
    thread::scope(|scope| {
        scope.spawn(move || {
            sender.write_all(head.as_bytes()).unwrap();
            sender.write_all(body).unwrap();
        });
        client.response()
    })
}

fn assert_receipt(response: &Response, body: &[u8]) {
    assert_eq!(response.status, 200);
    let receipt: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(receipt["bytes"], body.len());
    assert_eq!(receipt["sha256"], hash);
    assert!(receipt["seconds"].as_f64().unwrap() >= 0.0);
}

#[test]
fn echo_of_8_mib_comes_back_whole() {
    let _guard = hang_guard("echo");
    let program = Program::start(&[]);
    let mut client = program.connect();
    let body = noise(8 << 20);
    let response = post(&mut client, "/echo", &body);
    assert_eq!(response.status, 200);
    assert!(response.body == body, "the body came back changed");
    // The connection is still usable.
    assert_eq!(client.get("/healthz").status, 200);
}

#[test]
fn echo_sends_the_first_part_back_before_the_last_was_sent() {
    let _guard = hang_guard("streamed echo");
    let program = Program::start(&[]);
    let mut client = program.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("5\r\nfirst\r\n");
    let (status, headers) = client.head();
    assert_eq!((status, headers["transfer-encoding"].as_str()), (200, "chunked"));
    assert_eq!(client.chunk(), b"first");
    client.send("4\r\nlast\r\n0\r\n\r\n");
    assert_eq!(client.chunk(), b"last");
    assert_eq!(client.chunk(), b"");
}

#[test]
fn upload_hash_is_right_with_length_and_chunked() {
    let _guard = hang_guard("upload");
    let program = Program::start(&[]);
    let mut client = program.connect();
    for length in [0, 1, 65_536, 3_000_001] {
        let body = noise(length);
        assert_receipt(&post(&mut client, "/upload", &body), &body);
        client.send("POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(chunked(body.chunks(10_007)));
        assert_receipt(&client.response(), &body);
    }
}

#[test]
fn eight_uploads_at_once_get_each_its_own_hash() {
    let _guard = hang_guard("eight uploads");
    let program = Program::start(&["--workers", "2"]);
    thread::scope(|scope| {
        for index in 0..8 {
            let mut client = program.connect();
            scope.spawn(move || {
                let body = noise((1 << 20) + index);
                assert_receipt(&post(&mut client, "/upload", &body), &body);
            });
        }
        let mut client = program.connect();
        for _ in 0..100 {
            assert_eq!(client.get("/").status, 200);
        }
    });
}

#[test]
fn body_announced_too_long_is_refused_before_it_is_sent() {
    let _guard = hang_guard("announced too long");
    let program = Program::start(&["--max-body", "64KiB"]);
    for path in ["/upload", "/echo"] {
        let mut client = program.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 65537\r\n\r\n"));
        let response = client.response();
        assert_eq!((response.status, response.headers["connection"].as_str()), (413, "close"));
        client.assert_closed();
    }
    let body = noise(65_536);
    assert_receipt(&post(&mut program.connect(), "/upload", &body), &body);
}

/// Failure 20: closing a socket to which the peer still sends resets the connection, and the peer
/// loses the response that it has not read yet.
#[test]
fn refusal_reaches_a_client_that_sends_everything_before_it_reads() {
    let _guard = hang_guard("413 after everything");
    let program = Program::start(&["--max-body", "16KiB", "--linger-timeout", "1h"]);
    let body = noise(200_000);
    let length = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    let chunks = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
    // An announced length is refused before any byte of the body, chunks when there are too many.
    for (fields, bytes, refused) in
        [(length, body.clone(), 0), (chunks, chunked(body.chunks(5_000)), 40_000)]
    {
        let head = [b"POST /upload HTTP/1.1\r\nHost: t\r\n".to_vec(), fields].concat();
        let (refused, rest) = bytes.split_at(refused);
        let mut client = Client::connect_and_send(program.address(), &[&head, refused].concat());
        for part in rest.chunks(10_000) {
            client.send(part);
        }
        assert_eq!(client.response().status, 413);
        client.assert_closed();
    }
}

#[test]
fn refusal_reaches_a_client_in_the_middle_of_a_long_body() {
    let _guard = hang_guard("413 in the middle");
    let program = Program::start(&["--max-body", "64KiB"]);
    let mut client = program.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut sender = client.sender();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Until the server closes.
            let chunk = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
            while sender.write_all(&chunk).is_ok() {}
        });
        assert_eq!(client.response().status, 413);
    });
}

#[test]
fn echo_that_becomes_too_long_is_cut_off_and_does_not_look_complete() {
    let _guard = hang_guard("echo too long");
    let program = Program::start(&["--max-body", "1KiB"]);
    let mut client = program.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("400\r\n");
    client.send([b'x'; 0x400]);
    client.send("\r\n");
    assert_eq!(client.head().0, 200);
    let mut received = 0;
    while received < 0x400 {
        received += client.chunk().len();
    }
    client.send("1\r\nx\r\n");
    assert_eq!(client.rest().0, b"", "the end of the body was sent");
}
