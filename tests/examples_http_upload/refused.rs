//! Refused requests: the answer, and that no file stays.

use heist_tests::hang_guard;

use crate::server::{FILE, Server, form, form_of, head, noise};
use heist_tests::http_client::{Response, chunked};

#[track_caller]
pub(crate) fn assert_refused(response: &Response, status: u16, word: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.headers["content-type"], "text/plain; charset=utf-8", "{response:?}");
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
    assert_refused(&client.get("/upload"), 405, "curl --form");
}

#[test]
fn boundary_is_read_in_every_spelling_or_refused() {
    let _guard = hang_guard("boundary");
    let server = Server::start(&[]);
    let body = form(b"hello");
    let cases = [
        ("multipart/form-data; boundary=\"BOUND\"", 201),
        ("Multipart/Form-Data ;Boundary = BOUND; charset=utf-8", 201),
        ("multipart/form-data; boundary=\"\\BOUND\"", 400),
        ("multipart/form-data; boundary=BOUN", 400),
        ("multipart/form-data; boundary=OTHER", 400),
        ("multipart/form-data; boundary=BOUND; boundary=BOUND", 400),
        ("multipart/form-data; boundary=BOUND\r\ncontent-type: multipart/form-data", 400),
        ("multipart/form-data; boundary=\"BOUND", 400),
        ("multipart/form-data; boundary=\"\"", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data", 400),
        ("multipart/form-datas; boundary=BOUND", 415),
    ];
    for (content_type, status) in cases {
        let mut client = server.connect();
        let plain = "multipart/form-data; boundary=BOUND";
        client.send(head(body.len()).replace(plain, content_type));
        client.send(&body);
        assert_eq!(client.response().status, status, "{content_type}");
    }
    let longest = "B".repeat(70);
    for (boundary, status) in [(&longest, 201), (&format!("{longest}B"), 400)] {
        let body = String::from_utf8(body.clone()).unwrap().replace("BOUND", boundary);
        let mut client = server.connect();
        client.send(head(body.len()).replace("BOUND", boundary));
        client.send(&body);
        assert_eq!(client.response().status, status);
    }
}

#[test]
fn form_that_is_malformed_or_has_no_file_leaves_nothing() {
    let _guard = hang_guard("malformed");
    let mut server = Server::start(&[]);
    let whole = form(b"hello");
    let unended = &whole[..whole.len() - "\r\n--BOUND--\r\n".len()];
    let no_file =
        b"--BOUND\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nhi\r\n--BOUND--\r\n";
    let not_chosen = form_of(&[(NO_NAME, b"")]);
    let nameless = form_of(&[(FILE, b"hello"), (NO_NAME, b"hello")]);
    let cases: [(&[u8], &str); 7] = [
        (b"", "incomplete"),
        (b"--BOUND", "incomplete"),
        (b"--BOUND\r\n:\r\n\r\n\r\n--BOUND--\r\n", "header"),
        (unended, "incomplete"),
        (no_file, "no file"),
        (&not_chosen, "no file"),
        (&nameless, "without a name"),
    ];
    for (body, word) in cases {
        assert_refused(&server.post(body), 400, word);
        server.wait_for_removal();
    }
    assert_eq!(server.files().len(), 0);
    assert_eq!(server.post(&whole).status, 201);
}

#[test]
fn form_with_more_files_than_may_be_leaves_none() {
    let _guard = hang_guard("too many files");
    let mut server = Server::start(&[]);
    let part =
        "--BOUND\r\ncontent-disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\nhi\r\n";
    let forms = |count| format!("{}--BOUND--\r\n", part.repeat(count)).into_bytes();
    assert_refused(&server.post(&forms(101)), 413, "100 files");
    server.wait_for_removal();
    assert_eq!(server.files().len(), 0);
    assert_eq!(server.post(&forms(100)).status, 201);
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
    assert_refused(&client.response(), 413, "too long");
    // In chunks it shows only in the end.
    let mut client = server.connect();
    client.send(head(0).replace("content-length: 0", "transfer-encoding: chunked"));
    client.send(chunked(body.chunks(10_000)));
    assert_refused(&client.response(), 413, "longer than 1048576 bytes");
    server.wait_for_removal();
    assert_eq!(server.files().len(), 0);
}

const NO_NAME: &[u8] = b"content-disposition: form-data; name=\"file\"; filename=\"\"";
