//! Memory does not grow with the bytes received.

use std::io::Write;
use std::thread;

use heist_tests::hang_guard;

use crate::server::{Server, form, head, noise};
use heist_tests::http_client::Client;

#[test]
fn memory_does_not_grow_with_the_uploads() {
    let _guard = hang_guard("memory");
    let server = Server::start(&[]);
    let content = noise(MANY, 1);
    let body = form(&content);
    thread::scope(|scope| {
        for _ in 0..UPLOADS {
            scope.spawn(|| {
                let mut client = server.connect();
                client.send(head(body.len()));
                client.send(&body);
                assert_eq!(client.response().status, 201);
            });
        }
    });
    assert_eq!(server.files().len(), UPLOADS);
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "{peak} bytes of memory for {UPLOADS} uploads of {MANY}");
}

#[test]
fn memory_does_not_grow_with_what_is_no_part() {
    let _guard = hang_guard("memory of no parts");
    let server = Server::start(&[]);
    let nothing = vec![b'x'; 32 << 20];
    // Bytes before the first part, and the head of a part, without an end.
    let cases = [
        (&b""[..], "no part of a form within 65536 bytes"),
        (
            b"--BOUND\r\ncontent-disposition: form-data; name=\"",
            "the head of a part is longer than 4096 bytes",
        ),
    ];
    for (beginning, reason) in cases {
        let mut client = server.connect();
        client.send(head(1 << 28));
        client.send(beginning);
        let mut sender = client.sender();
        thread::scope(|scope| {
            // The server refuses the form before it has received all of it.
            scope.spawn(|| sender.write_all(&nothing));
            let answer = client.response();
            assert_eq!(answer.status, 400, "{answer:?}");
            assert!(answer.text().contains(reason), "{answer:?}");
        });
    }
    assert!(server.peak_memory() < MEMORY, "{} bytes of memory", server.peak_memory());
    assert_eq!(server.files().len(), 0);
}

#[test]
fn bytes_that_come_one_by_one_make_the_same_file() {
    let _guard = hang_guard("one by one");
    let server = Server::start(&[]);
    // Half a boundary, over and over, so that every cut is in the middle of something.
    let content = b"\r\n--BOUN\r\n-\r\r\n--BO".repeat(20);
    let body = form(&content);
    let mut client: Client = server.connect();
    client.send(head(body.len()));
    for byte in &body {
        client.send([*byte]);
    }
    assert_eq!(client.response().status, 201);
    assert_eq!(server.files().into_values().next().unwrap(), content);
}

const UPLOADS: usize = 8;
const MANY: usize = 16 << 20;

/// Far more than the program and eight pieces need, and far less than the bytes received.
const MEMORY: u64 = 40 << 20;
