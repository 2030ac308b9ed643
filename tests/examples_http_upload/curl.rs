//! The client that the example is made for.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use heist_tests::{hang_guard, has_tool};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::server::{Server, noise};

/// Runs curl to its end; what it printed.
fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "100"]).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A file to send.
fn source(server: &Server, name: &str, content: &[u8]) -> (PathBuf, String) {
    let path = server.sources().join(name);
    fs::write(&path, content).unwrap();
    let form = format!("file=@{}", path.display());
    (path, form)
}

fn assert_stored(server: &Server, receipt: &Value, content: &[u8]) {
    assert_eq!(receipt["bytes"], content.len());
    assert!(receipt["seconds"].as_f64().unwrap() >= 0.0);
    let stored = &server.files()[receipt["stored"].as_str().unwrap()];
    assert!(stored == content, "the file was changed on its way");
}

#[test]
fn file_is_kept_as_it_was_and_its_receipt_says_where() {
    let _guard = hang_guard("curl: one file");
    if !has_tool("file_is_kept_as_it_was_and_its_receipt_says_where", "curl", "curl") {
        return;
    }
    let server = Server::start(&[]);
    for (length, seed) in [(0, 0), (1, 1), (131_072, 2), (3_000_017, 3)] {
        let content = noise(length, seed);
        let (path, form) = source(&server, "one", &content);
        for headers in [&[][..], &["--header", "Transfer-Encoding: chunked"]] {
            let answer = curl(&[headers, &["--form", &form, &server.url()]].concat());
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let [file] = &answer["files"].as_array().unwrap()[..] else { panic!("{answer}") };
            assert_eq!((&file["field"], &file["name"]), (&"file".into(), &"one".into()));
            assert_stored(&server, file, &content);
            assert!(answer["seconds"].as_f64() >= file["seconds"].as_f64(), "{answer}");
        }
        fs::remove_file(path).unwrap();
    }
    assert_eq!(server.files().len(), 8);
}

#[test]
fn form_may_have_several_files_and_other_fields() {
    let _guard = hang_guard("curl: several files");
    if !has_tool("form_may_have_several_files_and_other_fields", "curl", "curl") {
        return;
    }
    let server = Server::start(&[]);
    let contents = [noise(200_000, 1), noise(7, 2)];
    let (_, first) = source(&server, "first", &contents[0]);
    let (_, second) = source(&server, "second", &contents[1]);
    let (_, long) = source(&server, "long", &vec![b'x'; 1_000_000]);
    // `<` sends the content of a file as a field, which is no upload.
    let long = long.replace("=@", "=<");
    let forms = ["--form", &first, "--form", &long, "--form", "note=hi", "--form", &second];
    let answer = curl(&[&forms[..], &[&server.url()]].concat());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let files = answer["files"].as_array().unwrap();
    assert_eq!((files.len(), server.files().len()), (2, 2), "{answer}");
    assert_stored(&server, &files[0], &contents[0]);
    assert_stored(&server, &files[1], &contents[1]);
}

#[test]
fn name_that_the_client_gives_is_never_a_path() {
    let _guard = hang_guard("curl: evil names");
    if !has_tool("name_that_the_client_gives_is_never_a_path", "curl", "curl") {
        return;
    }
    let server = Server::start(&[]);
    let (_, form) = source(&server, "evil", b"evil");
    for name in ["../../escaped", "/escaped", "a/b", "..", "upload-.part"] {
        let form = format!("{form};filename=\"{name}\"");
        let answer: Value = serde_json::from_str(&curl(&["--form", &form, &server.url()])).unwrap();
        assert_eq!(answer["files"][0]["name"], name);
        assert_stored(&server, &answer["files"][0], b"evil");
    }
    let files = server.files();
    assert_eq!(files.len(), 5);
    let is_ours = |name: &String| name.strip_prefix("upload-").is_some_and(|it| it.len() == 16);
    assert!(files.keys().all(is_ours), "{:?}", files.keys());
}

#[test]
fn file_of_a_name_that_is_not_utf8_is_kept() {
    let _guard = hang_guard("curl: Latin-1");
    if !has_tool("file_of_a_name_that_is_not_utf8_is_kept", "curl", "curl") {
        return;
    }
    let server = Server::start(&[]);
    let path = server.sources().join(OsStr::from_bytes(b"caf\xe9.txt"));
    fs::write(&path, b"important").unwrap();
    let (_, other) = source(&server, "other", b"other");
    let mut form = OsString::from("file=@");
    form.push(path);
    let mut command = Command::new("curl");
    command.args(["--silent", "--form", &other, "--form"]).arg(form).arg(server.url());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["files"][1]["name"], "café.txt");
    assert_stored(&server, &answer["files"][1], b"important");
}

#[test]
fn quotes_in_a_name_are_read_as_curl_escapes_them() {
    let _guard = hang_guard("curl: quotes");
    if !has_tool("quotes_in_a_name_are_read_as_curl_escapes_them", "curl", "curl") {
        return;
    }
    let server = Server::start(&[]);
    let (_, form) = source(&server, "quotes", b"quotes");
    let form = format!(r#"{form};filename="a\"b\\c; filename=d""#);
    let answer = curl(&["--form-escape", "--form", &form, &server.url()]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["files"][0]["name"], r#"a"b\c; filename=d"#);
    assert_stored(&server, &answer["files"][0], b"quotes");
}

#[test]
fn connection_is_good_for_more_uploads() {
    let _guard = hang_guard("curl: keep-alive");
    if !has_tool("connection_is_good_for_more_uploads", "curl", "curl") {
        return;
    }
    let server = Server::start(&[]);
    let (_, form) = source(&server, "again", &noise(100_000, 1));
    let url = server.url();
    let once = ["--form", &form, "--output", "/dev/null", "--write-out", "%{num_connects} ", &url];
    let chunked = [&once[..], &["--header", "Transfer-Encoding: chunked"]].concat();
    let connects = curl(&[&chunked[..], &["--next"], &once, &["--next"], &chunked].concat());
    assert_eq!(connects, "1 0 0 ");
}

#[test]
fn twenty_at_once_get_each_its_own() {
    let _guard = hang_guard("curl: twenty");
    if !has_tool("twenty_at_once_get_each_its_own", "curl", "curl") {
        return;
    }
    let server = Server::start(&[]);
    thread::scope(|scope| {
        for index in 0..20 {
            let server = &server;
            scope.spawn(move || {
                let content = noise(500_000 + index, index as u64);
                let (_, form) = source(server, &index.to_string(), &content);
                let arguments = ["--limit-rate", "1M", "--form", &form, &server.url()];
                let answer: Value = serde_json::from_str(&curl(&arguments)).unwrap();
                assert_eq!(answer["files"][0]["name"], index.to_string());
                let stored = answer["files"][0]["stored"].as_str().unwrap();
                let stored = fs::read(server.directory().join(stored)).unwrap();
                assert!(stored == content, "the files were mixed up");
            });
        }
    });
    assert_eq!(server.files().len(), 20);
}

#[test]
fn killed_curl_leaves_nothing() {
    let _guard = hang_guard("curl: killed");
    if !has_tool("killed_curl_leaves_nothing", "curl", "curl") {
        return;
    }
    let mut server = Server::start(&[]);
    let (path, form) = source(&server, "pipe", b"");
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut command = Command::new("curl");
    command.args(["--silent", "--form", &form, &server.url()]).stdin(Stdio::null());
    let mut curl = command.spawn().unwrap();
    // What the pipe does not hold has been taken by curl, and sent; and the pipe stays open.
    let mut pipe = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut pipe, &noise(4 << 20, 1)).unwrap();
    curl.kill().unwrap();
    curl.wait().unwrap();
    server.wait_for_removal();
    assert_eq!(server.files().len(), 0);
}
