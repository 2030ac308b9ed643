//! Part files of a killed server.

use std::fs;

use heist_tests::hang_guard;
use rustix::process::Signal;

use crate::server::{Server, directory, expecting, files, form, head, noise};

#[test]
fn part_files_of_a_killed_server_are_removed_by_the_next() {
    let _guard = hang_guard("killed");
    let own = directory();
    let names = ["upload-.part", "upload-0123456789abcde-.part", "mine.part", "upload-mine"];
    for name in names {
        fs::write(own.path().join(name), "not a server's").unwrap();
    }

    let mut server = Server::start_in(own.path());
    assert_eq!(server.post(&form(b"kept")).status, 201);
    let body = form(&noise(1 << 20, 1));
    let mut client = server.connect();
    client.send(expecting(&head(body.len())));
    assert_eq!(client.head().0, 100);
    client.send(&body[..body.len() / 2]);
    // Until there is a part file.
    while files(own.path()).len() == names.len() + 1 {
        std::thread::yield_now();
    }
    server.signal(Signal::KILL);
    server.wait();
    assert_eq!(files(own.path()).len(), names.len() + 2);

    let server = Server::start_in(own.path());
    let mut left = server.files();
    for name in names {
        assert!(left.remove(name).is_some(), "{name} was removed");
    }
    assert_eq!(left.into_values().collect::<Vec<_>>(), [b"kept"]);
}

#[test]
fn part_files_of_a_server_that_runs_are_left_alone() {
    let _guard = hang_guard("two servers");
    let own = directory();
    let first = Server::start_in(own.path());
    let content = noise(1 << 20, 1);
    let body = form(&content);
    let (before, after) = body.split_at(body.len() / 2);
    let mut client = first.connect();
    client.send(head(body.len()));
    client.send(before);
    while files(own.path()).is_empty() {
        std::thread::yield_now();
    }
    let second = Server::start_in(own.path());
    client.send(after);
    assert_eq!(client.response().status, 201);
    assert_eq!(second.post(&form(b"hello")).status, 201);
    let mut kept: Vec<_> = files(own.path()).into_values().collect();
    kept.sort_by_key(Vec::len);
    assert!(kept == [b"hello".to_vec(), content]);
}
