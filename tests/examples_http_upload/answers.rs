//! Answers in general, and the page at `/`.

use heist_tests::hang_guard;
use serde_json::Value;

use crate::server::{Server, expecting, form, head, noise};
use heist_tests::http_client::Client;

#[test]
fn head_is_answered_as_get_without_content() {
    let _guard = hang_guard("HEAD");
    let server = Server::start(&[]);
    for path in ["/", "/upload", "/nowhere", "/?query"] {
        let get = server.connect().get(path);
        assert_eq!(get.headers["content-type"], "text/plain; charset=utf-8", "{get:?}");
        let mut client = server.connect();
        client.send(format!("HEAD {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"));
        let (status, headers) = client.head();
        assert_eq!(status, get.status);
        for name in ["content-type", "content-length", "allow"] {
            assert_eq!(headers.get(name), get.headers.get(name), "{path}: {name}");
        }
        client.assert_closed();
    }
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    let _guard = hang_guard("methods");
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (path, allowed) in [("/", "GET, HEAD"), ("/upload", "POST")] {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW", "get"] {
            client.send(format!("{method} {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
            let answer = client.response();
            assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, allowed));
            assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        }
    }
}

#[test]
fn unknown_path_is_not_found_by_any_method() {
    let _guard = hang_guard("unknown path");
    let server = Server::start(&[]);
    let mut client = server.connect();
    for path in ["/nowhere", "/upload/", "//"] {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
            client.send(format!("{method} {path} HTTP/1.1\r\nhost: t\r\n\r\n"));
            let answer = client.response();
            assert_eq!(
                (answer.status, answer.headers.get("allow")),
                (404, None),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn answer_says_how_long_each_upload_took() {
    let _guard = hang_guard("seconds");
    let server = Server::start(&[]);
    let answer = server.post(&form(b"hello"));
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (201, "application/json"));
    let receipts: Value = serde_json::from_slice(&answer.body).unwrap();
    let seconds = |value: &Value| value["seconds"].as_f64().unwrap();
    assert!(seconds(&receipts["files"][0]) <= seconds(&receipts), "{receipts}");
    let refusal = server.post(b"no form");
    assert_eq!(refusal.status, 400);
    let (_, seconds) = refusal.text().split_once("after ").expect("no time");
    assert!(seconds.strip_suffix(" s\n").unwrap().parse::<f64>().unwrap() >= 0.0, "{seconds}");
}

/// Sends half of an upload; the server has begun with it.
fn begin(server: &Server, body: &[u8]) -> Client {
    let mut client = server.connect();
    client.send(expecting(&head(body.len())));
    assert_eq!(client.head().0, 100);
    client.send(&body[..body.len() / 2]);
    client
}

#[test]
fn page_says_how_many_uploads_are_in_flight() {
    let _guard = hang_guard("in flight");
    let mut server = Server::start(&[]);
    let body = form(&noise(300_000, 1));
    assert_eq!(server.in_flight(), 0);
    let mut kept = begin(&server, &body);
    let given_up = begin(&server, &body);
    assert_eq!(server.in_flight(), 2);
    kept.send(&body[body.len() / 2..]);
    assert_eq!(kept.response().status, 201);
    assert_eq!(server.in_flight(), 1);
    drop(given_up);
    server.wait_for_removal();
    assert_eq!(server.in_flight(), 0);
    // A request that is no form is no upload in flight; nor is one that was refused.
    assert_eq!(server.post(b"--BOUND--").status, 400);
    server.wait_for_removal();
    assert_eq!(server.in_flight(), 0);
}

#[test]
fn two_uploads_of_one_name_at_once_get_a_name_each() {
    let _guard = hang_guard("one name");
    let server = Server::start(&[]);
    let contents = [noise(700_000, 1), noise(700_000, 2)];
    let bodies = contents.each_ref().map(|content| form(content));
    let mut clients = bodies.each_ref().map(|body| begin(&server, body));
    while server.files().len() < 2 {
        std::thread::yield_now();
    }
    let names: Vec<_> = server.files().into_keys().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.ends_with(".part")), "{names:?}");
    let mut stored = Vec::new();
    for (client, body) in clients.iter_mut().zip(&bodies) {
        client.send(&body[body.len() / 2..]);
        let receipts: Value = serde_json::from_slice(&client.response().body).unwrap();
        assert_eq!(receipts["files"][0]["name"], "f");
        stored.push(receipts["files"][0]["stored"].as_str().unwrap().to_owned());
    }
    let files = server.files();
    assert_eq!(files.len(), 2);
    assert!(files[&stored[0]] == contents[0] && files[&stored[1]] == contents[1], "mixed up");
}
