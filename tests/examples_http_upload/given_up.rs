//! Uploads that the client breaks off leave no file.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use heist_tests::hang_guard;
use socket2::SockRef;

use crate::server::{Server, expecting, form, head, noise};
use heist_tests::http_client::chunked;

/// Begins an upload of 2 MiB and sends `length` bytes of it.
fn begin(server: &Server, length: usize) -> TcpStream {
    let body = form(&noise(2 << 20, 1));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(expecting(&head(body.len())).as_bytes()).unwrap();
    assert_continue(&mut stream);
    stream.write_all(&body[..length]).unwrap();
    stream
}

/// Waits until the server asks for the body: the upload is in flight then.
fn assert_continue(stream: &mut TcpStream) {
    let mut answer = [0; CONTINUE.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, CONTINUE);
}

#[test]
fn upload_that_is_broken_off_leaves_nothing_however_it_ends() {
    let _guard = hang_guard("broken off");
    let mut server = Server::start(&[]);
    let ways: [fn(TcpStream); 3] = [
        drop,
        |stream| stream.shutdown(Shutdown::Write).unwrap(),
        |stream| SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
    ];
    for give_up in ways {
        // Before the first part, in its head, before and after something was written.
        for length in [0, 20, 1_000, 1 << 20] {
            give_up(begin(&server, length));
            server.wait_for_removal();
            assert_eq!(server.files().len(), 0);
        }
    }
}

#[test]
fn files_that_were_complete_go_with_the_one_that_was_not() {
    let _guard = hang_guard("complete files");
    let mut server = Server::start(&[]);
    let whole = form(&noise(300_000, 1));
    let first = &whole[..whole.len() - "--\r\n".len()];
    let second = b"\r\ncontent-disposition: form-data; name=\"b\"; filename=\"g\"\r\n\r\nbegun";
    let body = [first, second].concat();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(head(body.len() + 1_000).as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    drop(stream);
    server.wait_for_removal();
    assert_eq!(server.files().len(), 0);
}

/// The form is whole, the request is not: the client may have meant to send more.
#[test]
fn request_that_is_broken_off_behind_its_form_leaves_nothing() {
    let _guard = hang_guard("behind the form");
    let mut server = Server::start(&[]);
    let chunked_head = head(0).replace("content-length: 0", "transfer-encoding: chunked");
    let body = chunked([&form(b"hello")[..]]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(expecting(&chunked_head).as_bytes()).unwrap();
    assert_continue(&mut stream);
    stream.write_all(&body[..body.len() - "0\r\n\r\n".len()]).unwrap();
    // Another one, sent as a whole, gives the first the time to be kept by mistake.
    let whole = form(b"whole");
    let mut client = server.connect();
    client.send(head(whole.len()));
    client.send(&whole);
    assert_eq!(client.response().status, 201);
    assert_eq!(server.in_flight(), 1);
    drop(stream);
    let said = [server.wait_for(": "), server.wait_for(": ")];
    assert!(said.iter().any(|line| line.contains("gave the upload up")), "{said:?}");
    assert_eq!(server.files().into_values().collect::<Vec<_>>(), [b"whole"]);
}

#[test]
fn half_of_fifty_give_up_and_the_others_do_not_notice() {
    let _guard = hang_guard("half of fifty");
    let mut server = Server::start(&[]);
    let contents: Vec<_> = (0..25).map(|index| noise(700_000 + index, index as u64)).collect();
    thread::scope(|scope| {
        for content in &contents {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                let body = form(content);
                client.send(head(body.len()));
                for piece in body.chunks(50_000) {
                    client.send(piece);
                }
                assert_eq!(client.response().status, 201);
            });
            scope.spawn(move || drop(begin(server, 400_000)));
        }
        let mut client = server.connect();
        for _ in 0..100 {
            assert_eq!(client.get("/").status, 200);
        }
    });
    // The other lines are those of the 25 that were kept, in whatever order.
    for _ in 0..25 {
        server.wait_for_removal();
    }
    let mut stored: Vec<_> = server.files().into_values().collect();
    stored.sort_by_key(Vec::len);
    assert!(stored == contents, "{} files", stored.len());
}

const CONTINUE: [u8; 25] = *b"HTTP/1.1 100 Continue\r\n\r\n";
