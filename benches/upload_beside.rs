//! What a small request costs beside fifty uploads, half of which give up in the middle.
//!
//! `cargo bench --bench upload_beside`; `-- --smoke` goes through it once, to see that it works.
//!
//! The server is the example `http_upload` as it is, in a process of its own. A client asks for
//! `/`, waits for two milliseconds after the answer, and asks again: for a while in quiet, for a
//! while beside uploads, and so on, so that what else the machine does falls upon both.
//!
//! Uploads take from the small request in two ways: the server is at work on them, and so is the
//! machine, on which the clients run, too. To tell these apart the client also asks, beside the
//! same uploads, a second server that does nothing else ("elsewhere").
//!
//! The uploads send 1 MiB a second each, or four, or as fast as they can. In the last case there is
//! no quiet to compare with: all cores are busy with copying, and the small request has its turn
//! after those that were there before it.

#![allow(clippy::print_stdout)]

#[allow(dead_code, reason = "the example opens it at its start")]
#[path = "../examples/http_upload/directory.rs"]
mod directory;
#[path = "../examples/http_upload/form.rs"]
mod form;
#[path = "../examples/http_upload/header.rs"]
mod header;
#[path = "../examples/http_upload/multipart.rs"]
mod multipart;
#[path = "../examples/http_upload/part.rs"]
mod part;
#[path = "../examples/http_upload/service.rs"]
mod service;
#[path = "../examples/http_upload/upload.rs"]
mod upload;

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use heist::Handle;
use heist::server::{Limits, Listener};
use heist::time::sleep;
use tempfile::TempDir;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, directory] = &arguments[..]
        && word == SERVE
    {
        return serve(Path::new(directory));
    }
    let plan = match arguments.iter().any(|argument| argument == "--smoke") {
        true => Plan { rounds: 1, time: Duration::from_millis(500) },
        false => Plan { rounds: 8, time: Duration::from_secs(2) },
    };
    println!("{UPLOADS} uploads of {} MiB, half of them given up; microseconds", SIZE >> 20);
    println!(
        "{:<12}{:>15}{:>15}{:>15}{:>14}{:>14}",
        "p50 / p99", "quiet", "elsewhere", "beside", "to quiet", "to elsewhere"
    );
    let loads = [
        ("1 MiB/s each", Some(PIECE_GAP)),
        ("4 MiB/s each", Some(PIECE_GAP / 4)),
        ("flat out", None),
    ];
    for (name, gap) in loads {
        compare(name, gap, &plan);
    }
}

struct Plan {
    rounds: u32,
    /// Of each third of a round.
    time: Duration,
}

/// Measures in quiet and beside uploads that wait for `gap` after each piece.
fn compare(name: &str, gap: Option<Duration>, plan: &Plan) {
    let (server, idle) = (Server::start(), Server::start());
    let (mut quiet, mut elsewhere, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    let load = Arc::new(Load::default());
    // Connections and threads that are used for the first time are not what is asked about.
    ask(server.address, plan.time / 4);
    ask(idle.address, plan.time / 4);
    for _ in 0..plan.rounds {
        quiet.extend(ask(server.address, plan.time));
        elsewhere.extend(beside_uploads(&server, idle.address, gap, &load, plan.time));
        beside.extend(beside_uploads(&server, server.address, gap, &load, plan.time));
    }
    let [quiet, elsewhere, beside] = [quiet, elsewhere, beside].map(Percentiles::of);
    println!(
        "{name:<12}{quiet:>15}{elsewhere:>15}{beside:>15}{:>14.2}{:>14.2}",
        beside.p50.as_secs_f64() / quiet.p50.as_secs_f64(),
        beside.p50.as_secs_f64() / elsewhere.p50.as_secs_f64(),
    );
    let seconds = (2 * plan.time * plan.rounds).as_secs_f64();
    println!(
        "    {} kept, {} given up, {:.0} MB/s; the server's peak memory was {} kB",
        load.kept.load(Relaxed),
        load.given_up.load(Relaxed),
        load.bytes.load(Relaxed) as f64 / 1e6 / seconds,
        server.peak_memory(),
    );
    server.end();
    idle.end();
}

/// What uploads have done.
#[derive(Default)]
struct Load {
    kept: AtomicU32,
    given_up: AtomicU32,
    bytes: AtomicU64,
}

/// Asks for small pages for `time`; how long each took.
fn ask(address: SocketAddr, time: Duration) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let end = Instant::now() + time;
    let mut times = Vec::new();
    let mut buffer = [0; 1024];
    // Once at least, however slow the machine is.
    while times.is_empty() || Instant::now() < end {
        let start = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
        // A small answer comes in one piece.
        let count = stream.read(&mut buffer).unwrap();
        times.push(start.elapsed());
        assert!(buffer[..count].starts_with(b"HTTP/1.1 200"));
        thread::sleep(THINK);
    }
    times
}

/// Asks `asked` for small pages for `time`, while uploads to `server` go on. They all come from one
/// thread: one for each would leave the server's a fiftieth of a core.
fn beside_uploads(
    server: &Server,
    asked: SocketAddr,
    gap: Option<Duration>,
    load: &Arc<Load>,
    time: Duration,
) -> Vec<Duration> {
    let clients = heist::Builder::new().ignore_environment().workers(1).start().unwrap();
    let directory: Arc<Path> = server.directory.path().into();
    for index in 0..UPLOADS {
        let client = Client {
            address: server.address,
            gap,
            whole: index % 2 == 0,
            directory: Arc::clone(&directory),
            load: Arc::clone(load),
        };
        clients.spawn(async move {
            // Not all of them at the same moment.
            sleep(gap.unwrap_or_default() * index / UPLOADS).await;
            loop {
                if let Err(error) = client.upload().await {
                    assert!(Handle::current().is_shutting_down(), "an upload failed: {error}");
                    return;
                }
            }
        });
    }
    // Until they have all begun.
    thread::sleep(PIECE_GAP * 4);
    let times = ask(asked, time);
    // Those that are under way are given up, too.
    assert_eq!(clients.shutdown(HANG).threads_left, 0);
    times
}

/// A client that uploads one file after the other.
struct Client {
    address: SocketAddr,
    /// What passes after each piece.
    gap: Option<Duration>,
    /// Or half of each.
    whole: bool,
    directory: Arc<Path>,
    load: Arc<Load>,
}

impl Client {
    async fn upload(&self) -> io::Result<()> {
        let mut stream = heist::net::TcpStream::connect(self.address).await?;
        let length = FORM_BEGIN.len() + SIZE + FORM_END.len();
        let head = format!("{HEAD}content-length: {length}\r\n\r\n{FORM_BEGIN}");
        stream.write_all(head.as_bytes()).await?;
        let length = if self.whole { SIZE } else { SIZE / 2 };
        let mut due = Instant::now();
        for _ in 0..length / PIECE {
            stream.write_all(&[b'x'; PIECE]).await?;
            self.load.bytes.fetch_add(PIECE as u64, Relaxed);
            if let Some(gap) = self.gap {
                due += gap;
                sleep(due.saturating_duration_since(Instant::now())).await;
            }
        }
        match self.whole {
            true => self.complete(stream).await,
            false => self.give_up(stream).await,
        }
    }

    async fn complete(&self, mut stream: heist::net::TcpStream) -> io::Result<()> {
        stream.write_all(FORM_END.as_bytes()).await?;
        let mut answer = [0; 2048];
        let count = stream.read(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer[..count]);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        self.load.kept.fetch_add(1, Relaxed);
        // The disk is not there for this.
        let (_, stored) = answer.split_once("\"stored\": \"").expect("it says where it is");
        let name = stored.split('"').next().unwrap_or_default();
        fs::remove_file(self.directory.join(name))
    }

    /// Breaks off, and waits until the server has noticed: else there would soon be more than
    /// fifty.
    async fn give_up(&self, mut stream: heist::net::TcpStream) -> io::Result<()> {
        stream.shutdown().await?;
        let _ = stream.read(&mut [0; 2048]).await;
        self.load.given_up.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Half and nearly all of the times are at most this.
struct Percentiles {
    p50: Duration,
    p99: Duration,
}

impl Percentiles {
    fn of(mut times: Vec<Duration>) -> Percentiles {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        Percentiles { p50: at(50), p99: at(99) }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} / {}", self.p50.as_micros(), self.p99.as_micros()))
    }
}

/// This program as the server, in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    fn start() -> Server {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(SERVE).arg(directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().parse().expect("the server says where it listens");
        Server { child, address, directory }
    }

    fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends it, and looks whether uploads that were given up have left something.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        let left = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let part = left.into_iter().find(|path| path.extension().is_some());
        assert_eq!(part, None, "this is left of an upload that was given up");
    }
}

/// Serves until its standard input ends.
fn serve(directory: &Path) {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let limits = Limits { max_body: 1 << 30, shed: false, ..Limits::default() };
    let runtime = heist::Runtime::new().unwrap();
    let server = service::start(runtime.handle(), listener, limits, directory.into()).unwrap();
    println!("{}", server.addresses()[0]);
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    server.drain_blocking(HANG);
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
}

const SERVE: &str = "serve";

const UPLOADS: u32 = 50;
const SIZE: usize = 1 << 20;
const PIECE: usize = 16 << 10;
/// 16 KiB each 1/64 s are 1 MiB/s.
const PIECE_GAP: Duration = Duration::from_micros(15_625);
const THINK: Duration = Duration::from_millis(2);
/// Far beyond what an end takes: only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

const HEAD: &str = "POST /upload HTTP/1.1\r\nhost: t\r\n\
    content-type: multipart/form-data; boundary=BOUND\r\n";
const FORM_BEGIN: &str =
    "--BOUND\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
const FORM_END: &str = "\r\n--BOUND--\r\n";
