//! The example, running, and forms to send it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;

use crate::example::command;
use heist_tests::http_client::{Client, Response};

/// A running `http_upload`; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
    directory: PathBuf,
    /// Removes it, unless it is the test's.
    own: Option<TempDir>,
    sources: TempDir,
}

impl Server {
    /// Starts it with a directory of its own.
    pub(crate) fn start(options: &[&str]) -> Server {
        let own = directory();
        let mut command = command("http_upload");
        command.args(options);
        let mut server = Server::spawn(command, own.path());
        server.own = Some(own);
        server
    }

    /// Starts it in `directory`.
    pub(crate) fn start_in(directory: &Path) -> Server {
        Server::spawn(command("http_upload"), directory)
    }

    /// Runs `command` on a port of the system's choice, and waits until it listens.
    pub(crate) fn spawn(mut command: Command, directory: &Path) -> Server {
        command.args(["--listen", "127.0.0.1:0", "--directory"]).arg(directory);
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let greeting = stderr.next().unwrap().unwrap();
        let (_, url) = greeting.split_once("http://").expect("no URL in the greeting");
        let address = url.strip_suffix("/upload").unwrap().parse().unwrap();
        let sources = self::directory();
        Server { child, stderr, address, directory: directory.to_owned(), own: None, sources }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/upload", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A directory for files to send.
    pub(crate) fn sources(&self) -> &Path {
        self.sources.path()
    }

    /// Waits for a line of its log that contains `word`.
    pub(crate) fn wait_for(&mut self, word: &str) -> String {
        let mut lines = self.stderr.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(word)).expect("it ended before it said so")
    }

    /// Waits for the line that an upload was given up.
    pub(crate) fn wait_for_removal(&mut self) {
        self.wait_for("gave the upload up");
    }

    /// The files in the directory: names and contents.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files(self.directory())
    }

    /// Sends `body` as a form with the boundary `BOUND`.
    pub(crate) fn post(&self, body: &[u8]) -> Response {
        let mut client = self.connect();
        client.send(head(body.len()));
        client.send(body);
        client.response()
    }

    /// The number of uploads in flight, as the page `/` has it.
    pub(crate) fn in_flight(&self) -> usize {
        let page = self.connect().get("/");
        let number = page.text().lines().find_map(|line| line.strip_prefix("uploads in flight: "));
        number.expect("the page does not say").parse().unwrap()
    }

    /// The most memory that it has had so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kib << 10
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn open_files_limit(&self) -> Rlimit {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        Rlimit { current: numbers.next().unwrap(), maximum: numbers.next().unwrap() }
    }

    pub(crate) fn set_open_files_limit(&self, limit: Rlimit) {
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

/// A directory for a test.
pub(crate) fn directory() -> TempDir {
    let parent = fs::canonicalize(env!("CARGO_TARGET_TMPDIR")).unwrap();
    tempfile::tempdir_in(parent).unwrap()
}

/// The files in `directory`: names and contents.
pub(crate) fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let read = |path| fs::read(path).unwrap();
    entries.map(|it| (it.file_name().into_string().unwrap(), read(it.path()))).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that do not repeat in step with any buffer, and are others for each `seed`.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// The body of a form with one file.
pub(crate) fn form(content: &[u8]) -> Vec<u8> {
    form_of(&[(FILE, content)])
}

/// The body of a form with parts of these heads and contents.
pub(crate) fn form_of(parts: &[(&[u8], &[u8])]) -> Vec<u8> {
    let part =
        |(head, content): &(&[u8], &[u8])| [b"--BOUND\r\n", *head, b"\r\n\r\n", content].concat();
    let parts: Vec<_> = parts.iter().map(part).chain([b"--BOUND--\r\n".to_vec()]).collect();
    parts.join(&b"\r\n"[..])
}

/// The head of a part that is a file.
pub(crate) const FILE: &[u8] = b"content-disposition: form-data; name=\"file\"; filename=\"f\"";

/// The head of a request whose body is such a form, of `length` bytes.
pub(crate) fn head(length: usize) -> String {
    format!(
        "POST /upload HTTP/1.1\r\nHost: t\r\ncontent-type: multipart/form-data; boundary=BOUND\r\n\
         content-length: {length}\r\n\r\n"
    )
}

/// `head`, of a client that waits until it is asked for the body.
pub(crate) fn expecting(head: &str) -> String {
    head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n")
}
