//! The end of the server.

use heist_tests::hang_guard;
use rustix::process::Signal;

use crate::server::{Server, expecting, form, head, noise};
use heist_tests::http_client::Client;

/// Sends a head, and waits until the server asks for the body: by then it has the request.
fn begin(client: &mut Client, body: &[u8]) {
    client.send(expecting(&head(body.len())));
    assert_eq!(client.head().0, 100);
}

#[test]
fn upload_that_is_under_way_is_kept_when_the_server_ends() {
    let _guard = hang_guard("drained");
    let mut server = Server::start(&["--grace", "60"]);
    let content = noise(1 << 20, 1);
    let body = form(&content);
    let (before, after) = body.split_at(body.len() / 2);
    let mut client = server.connect();
    begin(&mut client, &body);
    client.send(before);
    let mut idle = server.connect();
    assert_eq!(idle.get("/").status, 200);
    server.signal(Signal::TERM);
    // The drain closes idle connections.
    idle.assert_closed();
    client.send(after);
    let answer = client.response();
    assert_eq!((answer.status, answer.headers["connection"].as_str()), (201, "close"));
    let report = server.wait_for("stopped");
    assert!(report.contains(" 0 force-closed"), "{report}");
    assert_eq!(server.wait(), Some(0));
    assert_eq!(server.files().into_values().next().unwrap(), content);
}

#[test]
fn upload_that_does_not_end_in_time_leaves_nothing() {
    let _guard = hang_guard("force-closed");
    let mut server = Server::start(&["--grace", "0"]);
    let body = form(&noise(1 << 20, 1));
    let mut client = server.connect();
    begin(&mut client, &body);
    client.send(&body[..body.len() / 2]);
    server.signal(Signal::INT);
    let report = server.wait_for("stopped");
    assert!(report.contains("1 force-closed"), "{report}");
    assert_eq!(server.wait(), Some(0));
    assert_eq!(server.files().len(), 0);
}
