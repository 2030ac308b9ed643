//! A file under any spelling of its name is kept, or its form is refused: none is thrown away.

use heist_tests::hang_guard;
use serde_json::Value;

use crate::server::{FILE, Server, form_of};

/// The outcome of a part.
enum Fate<'a> {
    /// It is a file of this name.
    Kept(&'a str),
    /// It is no file.
    Skipped,
    Refused,
}
use Fate::{Kept, Refused, Skipped};

/// Sends a form with a part of the head `head`, and a file, so that the form is never without one.
#[track_caller]
fn assert_fate(server: &Server, head: &[u8], fate: &Fate<'_>) {
    let answer = server.post(&form_of(&[(head, b"important"), (FILE, b"other")]));
    let shown = head.escape_ascii().to_string();
    let stored: Vec<_> = server.files().into_iter().collect();
    if let Refused = fate {
        assert_eq!((answer.status, stored.len()), (400, 0), "{shown}: {answer:?}");
        return;
    }
    assert_eq!(answer.status, 201, "{shown}: {answer:?}");
    let receipts: Value = serde_json::from_slice(&answer.body).unwrap();
    let receipts = receipts["files"].as_array().unwrap();
    let expected = if let Kept(_) = fate { 2 } else { 1 };
    assert_eq!((receipts.len(), stored.len()), (expected, expected), "{shown}");
    if let Kept(name) = fate {
        assert_eq!(receipts[0]["name"], *name, "{shown}");
        let path = server.directory().join(receipts[0]["stored"].as_str().unwrap());
        assert_eq!(std::fs::read(path).unwrap(), b"important", "{shown}");
    }
    for (name, _) in stored {
        std::fs::remove_file(server.directory().join(name)).unwrap();
    }
}

#[test]
fn file_of_any_spelling_is_kept_or_its_form_refused() {
    let _guard = hang_guard("spellings");
    let server = Server::start(&[]);
    let cases: &[(&[u8], Fate<'_>)] = &[
        (b"filename=\"a.txt\"", Kept("a.txt")),
        (b"FILENAME=\"a.txt\"", Kept("a.txt")),
        (b"FileName = \t\"a.txt\" ; ", Kept("a.txt")),
        (b"filename=a.txt", Kept("a.txt")),
        (b"filename=a/b=c,[d].txt", Kept("a/b=c,[d].txt")),
        (b"filename=a b.txt", Refused),
        (b"filename=\"a\\\"b.txt\"", Kept("a\"b.txt")),
        (b"filename=\"x\\\\\"", Kept("x\\")),
        (b"filename=\"C:\\dir\\a.txt\"", Kept("C:\\dir\\a.txt")),
        (b"filename=\"a%22b.txt\"", Kept("a%22b.txt")),
        (b"filename=\"a; filename=b\"", Kept("a; filename=b")),
        (b"filename=\"x\\\"", Refused),
        (b"filename=\"a", Refused),
        (b"filename=\"a\"b", Refused),
        (b"filename=\"a\" filename=\"b\"", Refused),
        (b"filename=\"na\xc3\xafve.txt\"", Kept("naïve.txt")),
        (b"filename=\"caf\xe9.txt\"", Kept("café.txt")),
        (b"filename=caf\xe9.txt", Kept("café.txt")),
        (b"filename=\"a\0b\"", Refused),
        (b"filename=", Refused),
        (b"filename", Refused),
        (b"filename=\"a\"; filename=\"b\"", Refused),
        (b"filename=\"a\"; FileName=\"a\"", Refused),
        (b"filename*=UTF-8''na%C3%AFve.txt", Kept("naïve.txt")),
        (b"Filename*=utf-8'en'na%c3%afve.txt", Kept("naïve.txt")),
        (b"filename*=iso-8859-1''caf%E9.txt", Kept("café.txt")),
        (b"filename*=\"UTF-8''a.txt\"", Kept("a.txt")),
        (b"filename=\"naive.txt\"; filename*=UTF-8''na%C3%AFve.txt", Kept("naïve.txt")),
        (b"filename*=UTF-8''b; filename=a", Kept("b")),
        (b"filename*=UTF-8''a; filename*=UTF-8''b", Refused),
        (b"filename*=UTF-8''%FF", Refused),
        (b"filename*=koi8-r''a", Refused),
        (b"filename*=a.txt", Refused),
        (b"filename*0=\"a\"; filename*1=\".txt\"", Refused),
        (b"filename*0*=UTF-8''a", Refused),
        (b"filename=\"\"", Refused),
        (b"filename=\"a\"; filename*=UTF-8''", Kept("a")),
        (b"filename*=UTF-8''; filename=\"a\"", Kept("a")),
        (b"filename=\"\"; filename*=UTF-8''a", Kept("a")),
        (b"filename*=UTF-8''", Refused),
        (b"filename=\"\"; filename*=UTF-8''", Refused),
        (b"filename=\"../../a\"", Kept("../../a")),
        (b"size=3", Skipped),
        (b";;", Skipped),
        (b"=x", Refused),
        (b"; = \"filename\"", Refused),
        (b"=filename; filename=a", Refused),
        (b"=", Refused),
    ];
    for (parameters, fate) in cases {
        let head = [b"Content-Disposition: form-data; name=\"n\"; ", *parameters].concat();
        assert_fate(&server, &head, fate);
    }
}

#[test]
fn field_is_no_file_whatever_is_in_its_name() {
    let _guard = hang_guard("fields");
    let server = Server::start(&[]);
    for name in ["\"x; filename=evil\"", "\"x\\\"; filename=\\\"evil\"", "filename"] {
        let head = format!("content-disposition: form-data; name={name}");
        assert_fate(&server, head.as_bytes(), &Skipped);
        // Alone it is no upload.
        let answer = server.post(&form_of(&[(head.as_bytes(), b"text")]));
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.text().contains("no file"), "{answer:?}");
    }
}

#[test]
fn head_that_may_be_meant_in_two_ways_is_refused() {
    let _guard = hang_guard("heads");
    let server = Server::start(&[]);
    let file = "Content-Disposition: form-data; name=n; filename=a";
    let field = "Content-Disposition: form-data; name=n";
    let cases = [
        (format!("{}\r\nX-Other: y", file.to_uppercase()), Kept("A")),
        (format!("{file}\r\nContent-Transfer-Encoding: binary"), Kept("a")),
        (format!("{file}\r\nContent-Type: multipart/mixed; boundary=b"), Kept("a")),
        (format!("{field}\r\nContent-Type: text/plain; charset=utf-8"), Skipped),
        (format!("{field}\r\ncontent-type: Multipart/Mixed; boundary=b"), Refused),
        (format!("{file}\r\nContent-Transfer-Encoding: base64"), Refused),
        (format!("{file}\r\n{field}"), Refused),
        (format!("{field}\r\n{file}"), Refused),
        (format!("{field};\r\n filename=a"), Refused),
        (file.replace(": ", " : "), Refused),
        (file.replace("form-data", "attachment"), Refused),
        (file.replace("form-data", "file"), Refused),
        (file.replace("form-data", ""), Refused),
        (file.replace("name=n; ", ""), Refused),
        (file.replace("name=n; ", "name=n; name=n; "), Refused),
        ("Content-Type: text/plain".to_owned(), Refused),
        (format!("{field}\n\n\r\n{file}"), Refused),
        (format!("{field}\n{file}"), Refused),
        (format!("{file}\r\nX: {}", "y".repeat(5_000)), Refused),
    ];
    for (head, fate) in cases {
        assert_fate(&server, head.as_bytes(), &fate);
    }
}
