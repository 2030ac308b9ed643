//! What is not kept, and what the client is told.

use heist_tests::hang_guard;

use crate::client::{Response, chunked};
use crate::server::{Server, form, head, noise};

/// Sends `body` as a form.
fn post(server: &Server, body: &[u8]) -> Response {
    let mut client = server.connect();
    client.send(head(body.len()));
    client.send(body);
    client.response()
}

#[track_caller]
fn assert_refused(response: &Response, status: u16, word: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert!(response.text().contains(word), "{response:?}");
    assert_eq!(response.text().lines().count(), 1, "{response:?}");
}

#[test]
fn what_is_no_form_is_told_how_to_send_one() {
    let _guard = hang_guard("no form");
    let server = Server::start(&[]);
    for content_type in ["", "content-type: text/plain\r\n", "content-type: multipart/mixed\r\n"] {
        let mut client = server.connect();
        client.send(format!(
            "POST /upload HTTP/1.1\r\nhost: t\r\n{content_type}content-length: 2\r\n\r\nhi"
        ));
        assert_refused(&client.response(), 415, "curl --form");
    }
    let mut client = server.connect();
    assert_refused(&client.get("/nowhere"), 404, "curl --form");
    assert_refused(&client.get("/upload"), 404, "curl --form");
    assert_refused(&client.get("/"), 200, "curl --form");
}

#[test]
fn form_that_is_malformed_or_has_no_file_leaves_nothing() {
    let _guard = hang_guard("malformed");
    let mut server = Server::start(&[]);
    let whole = form(b"hello");
    let unended = &whole[..whole.len() - "\r\n--BOUND--\r\n".len()];
    let no_file =
        b"--BOUND\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nhi\r\n--BOUND--\r\n";
    let not_chosen = form(b"").escape_ascii().to_string().replace("=\\\"f\\\"", "=\\\"\\\"");
    let not_chosen = not_chosen.replace("\\r\\n", "\r\n").replace("\\\"", "\"");
    let cases: [(&[u8], &str); 6] = [
        (b"", "incomplete"),
        (b"--BOUND", "incomplete"),
        (b"--BOUND\r\n:\r\n\r\n\r\n--BOUND--\r\n", "header"),
        (unended, "incomplete"),
        (no_file, "no file"),
        (not_chosen.as_bytes(), "no file"),
    ];
    for (body, word) in cases {
        assert_refused(&post(&server, body), 400, word);
        server.wait_for_removal();
    }
    assert_eq!(server.files().len(), 0);
    assert_eq!(post(&server, &whole).status, 201);
}

#[test]
fn form_with_more_files_than_may_be_leaves_none() {
    let _guard = hang_guard("too many files");
    let mut server = Server::start(&[]);
    let part =
        "--BOUND\r\ncontent-disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\nhi\r\n";
    let forms = |count| format!("{}--BOUND--\r\n", part.repeat(count)).into_bytes();
    assert_refused(&post(&server, &forms(101)), 413, "100 files");
    server.wait_for_removal();
    assert_eq!(server.files().len(), 0);
    assert_eq!(post(&server, &forms(100)).status, 201);
    assert_eq!(server.files().len(), 100);
}

#[test]
fn body_that_is_too_long_leaves_nothing() {
    let _guard = hang_guard("too long");
    let mut server = Server::start(&["--max-mib", "1"]);
    let body = form(&noise(1 << 20, 1));
    // Announced, it is refused before it is sent, and before anything was begun.
    let mut client = server.connect();
    client.send(head(body.len()));
    assert_eq!(client.response().status, 413);
    // In chunks it shows only in the end.
    let mut client = server.connect();
    client.send(head(0).replace("content-length: 0", "transfer-encoding: chunked"));
    client.send(chunked(body.chunks(10_000)));
    assert_eq!(client.response().status, 413);
    server.wait_for_removal();
    assert_eq!(server.files().len(), 0);
}

#[test]
fn disk_that_fails_is_said_and_the_server_goes_on() {
    let _guard = hang_guard("no directory");
    let mut server = Server::start(&[]);
    std::fs::remove_dir(server.directory()).unwrap();
    assert_refused(&post(&server, &form(b"hello")), 500, "cannot store the file");
    server.wait_for("cannot store the file");
    std::fs::create_dir(server.directory()).unwrap();
    assert_eq!(post(&server, &form(b"hello")).status, 201);
}
