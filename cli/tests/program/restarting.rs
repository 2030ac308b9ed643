//! Restarts that lose no request.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heist_tests::{hang_guard, has_tool};
use rustix::process::{Pid, Signal, kill_process};

use crate::certificates::Certificates;
use crate::child::{PATIENT, Program};
use heist_tests::http_client::Client;

/// Makes the program `old` hand over, and returns the new process once it has greeted.
fn restart(program: &mut Program, old: Pid) -> Pid {
    kill_process(old, Signal::USR2).unwrap();
    loop {
        let line = program.line();
        if line.starts_with("heist serving on ") {
            assert_eq!(line, program.greeting, "it listens elsewhere");
            break;
        }
        // The line of an earlier process.
        assert_stopped_well(&line);
    }
    let line = program.error_line_with("a new process has taken over");
    let (_, successor) = line.trim_end().split_once("successor=").expect("no successor is named");
    Pid::from_raw(successor.parse().unwrap()).unwrap()
}

#[track_caller]
fn assert_stopped_well(line: &str) {
    assert!(line.starts_with("heist stopped: ") && line.contains(", 0 force-closed, "), "{line}");
}

/// A process that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection with a request that is not answered yet.
fn asking(program: &Program) -> Client {
    let mut client = program.connect();
    client.send("GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    client
}

/// Failure: a restart loses connections in the backlog, or requests under way.
#[test]
fn twenty_restarts_under_load_lose_no_request() {
    let _guard = hang_guard("restarts");
    if !has_tool("twenty_restarts_under_load_lose_no_request", "wrk", "wrk") {
        return;
    }
    let program = Program::start(&["--workers", "2", "--drain-linger", "1h"]);
    restart_under_load(program, |program, process| {
        // Connections of one request each, beside persistent ones.
        let mut waiting: Vec<_> = (0..8).map(|_| asking(program)).collect();
        let process = restart(program, process);
        for client in &mut waiting {
            assert_eq!(client.response().status, 200);
        }
        process
    });
}

/// The same under TLS: the new process cannot resume the sessions of the old one, and a handshake
/// may be under way.
#[test]
fn twenty_restarts_under_load_over_tls_lose_no_request() {
    let _guard = hang_guard("restarts under TLS");
    if !has_tool("twenty_restarts_under_load_over_tls_lose_no_request", "wrk", "wrk") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&["--workers", "2", "--drain-linger", "1h"]);
    restart_under_load(program, restart);
}

/// Makes `program` hand over 20 times by `restart` under the load of wrk.
fn restart_under_load(mut program: Program, mut restart: impl FnMut(&mut Program, Pid) -> Pid) {
    let url = program.url("/");
    let mut command = Command::new("wrk");
    let wrk =
        command.args(["-t1", "-c16", "-d300s", "--timeout", "60s", &url]).stdout(Stdio::piped());
    let mut wrk = Killed(wrk.stdin(Stdio::null()).spawn().unwrap());
    let mut process = program.pid();
    for _ in 0..20 {
        process = restart(&mut program, process);
    }
    kill_process(Pid::from_child(&wrk.0), Signal::INT).unwrap();
    let mut report = String::new();
    wrk.0.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert!(report.contains("requests in"), "{report}");
    assert!(!report.contains("Socket errors"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
    kill_process(process, Signal::TERM).unwrap();
    let outcome = program.wait();
    outcome.stdout.lines().for_each(assert_stopped_well);
}

/// Failure: a new version that does not start ends the service.
#[test]
fn program_that_cannot_be_replaced_serves_on() {
    let _guard = hang_guard("failed restart");
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Linked, not written: a file that is open for writing cannot be executed, and each child that
    // another test starts at that moment keeps it open for a while.
    let installed = directory.join(format!("heist-replaced-{}", std::process::id()));
    fs::hard_link(env!("CARGO_BIN_EXE_heist"), &installed).unwrap();
    let mut command = Command::new(&installed);
    crate::child::prepare(&mut command);
    command.args(["--listen", "127.0.0.1:0", "--admin", "none"]);
    let mut program = Program::spawn(&mut command);
    // The new version fails.
    fs::remove_file(&installed).unwrap();
    symlink("/bin/false", &installed).unwrap();
    program.signal(Signal::USR2);
    assert!(program.error_line_with("keeps serving").contains("exit status: 1"));
    assert_eq!(program.connect().get("/").status, 200);
    // The repaired version takes over.
    fs::remove_file(&installed).unwrap();
    fs::hard_link(env!("CARGO_BIN_EXE_heist"), &installed).unwrap();
    let old = program.pid();
    let new = restart(&mut program, old);
    assert_eq!(program.connect().get("/").status, 200);
    kill_process(new, Signal::TERM).unwrap();
    program.wait().stdout.lines().for_each(assert_stopped_well);
    fs::remove_file(&installed).unwrap();
}

/// Failure: the old process removes the file of the Unix socket that the new one serves.
#[test]
fn unix_socket_is_handed_over_with_its_file() {
    let _guard = hang_guard("unix restart");
    let path = crate::starting::socket_path("handed-over");
    let address = format!("unix:{}", path.display());
    let mut command = crate::child::command();
    let mut program = Program::spawn(command.args(["--listen", &address, "--admin", "none"]));
    let old = program.pid();
    let new = restart(&mut program, old);
    // This line comes when the old one has ended.
    assert_stopped_well(&program.line());
    assert_eq!(Client::connect_unix(&path).get("/").status, 200);
    kill_process(new, Signal::TERM).unwrap();
    program.wait().stdout.lines().for_each(assert_stopped_well);
    let _ = fs::remove_file(&path);
}

/// A client that counts its requests and answers, until it is stopped.
///
/// It keeps its connection while the server does. A close between two answers is allowed only after
/// `Connection: close`; any other end of a connection, at whatever moment, is a lost request: each
/// connection asks again, and the drain waits for that.
fn count(connect: impl Fn() -> Box<dyn Bytes>, stop: &AtomicBool) -> Counted {
    let mut counted = Counted::default();
    while !stop.load(Ordering::Relaxed) {
        let mut stream = BufReader::new(connect());
        loop {
            counted.asked += 1;
            match ask(&mut stream) {
                Ok(keeps) => {
                    counted.answered += 1;
                    if !keeps || stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                Err(error) => {
                    counted.errors.push(error);
                    break;
                }
            }
        }
    }
    counted
}

/// A connection.
trait Bytes: Read + Write {}
impl<T: Read + Write> Bytes for T {}

fn connect_plain(address: SocketAddr) -> Box<dyn Bytes> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    Box::new(stream)
}

#[derive(Debug, Default)]
struct Counted {
    asked: u64,
    answered: u64,
    errors: Vec<io::Error>,
}

/// Sends a request and reads its answer. Returns whether the connection stays open.
fn ask(stream: &mut BufReader<Box<dyn Bytes>>) -> io::Result<bool> {
    stream.get_mut().write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")?;
    let (mut keeps, mut length, mut line) = (true, 0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            "connection: close" => keeps = false,
            other => {
                if let Some(value) = other.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
            }
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    Ok(keeps)
}

/// Starts a heist on a socket that stays open when it ends, like a service manager.
fn start_on(listener: &TcpListener) -> Program {
    let mut shell = Command::new("sh");
    let script = "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_heist"), "--admin", "none", "--no-shed"]);
    shell.args(PATIENT.iter().flat_map(|(flag, value)| [flag, value]));
    shell.args(["--drain-linger", "1h"]);
    shell.arg("--listen").arg(listener.local_addr().unwrap().to_string());
    crate::child::prepare(&mut shell);
    shell.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    Program::spawn(&mut shell)
}

/// Failure: a stop loses requests under way, or those that wait for the next process.
#[test]
fn twenty_stops_under_a_counting_client_lose_no_request() {
    let _guard = hang_guard("stops");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), AtomicBool::new(false));
    let connect = || connect_plain(address);
    let counted = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| count(connect, &stop))).collect();
        for round in 0..20 {
            let program = start_on(&listener);
            // The queue of the socket is in order: the requests before this one are under way.
            assert_eq!(program.connect().get("/healthz").status, 200);
            let signal = [Signal::TERM, Signal::INT, Signal::QUIT][round % 3];
            program.signal(signal);
            let outcome = program.wait();
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            outcome.stdout.lines().for_each(assert_stopped_well);
        }
        // For the requests that wait now.
        let last = start_on(&listener);
        stop.store(true, Ordering::Relaxed);
        let counted: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        drop(last);
        counted
    });
    assert_nothing_lost(&counted);
}

/// The same for restarts by SIGUSR2.
#[test]
fn twenty_hand_overs_under_a_counting_client_lose_no_request() {
    let _guard = hang_guard("counted handovers");
    let program = Program::start(&["--drain-linger", "1h"]);
    let address = program.address();
    hand_over_counted(program, || connect_plain(address));
}

/// The same under TLS.
#[test]
fn twenty_hand_overs_under_a_counting_client_over_tls_lose_no_request() {
    let _guard = hang_guard("counted handovers under TLS");
    let certificates = Certificates::new();
    let program = certificates.start(&["--drain-linger", "1h"]);
    let address = program.address();
    hand_over_counted(program, || Box::new(certificates.connect(address)));
}

/// Makes `program` hand over 20 times while clients count their answers.
fn hand_over_counted(mut program: Program, connect: impl Fn() -> Box<dyn Bytes> + Sync) {
    let stop = AtomicBool::new(false);
    let (mut process, mut counted) = (program.pid(), Vec::new());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| count(&connect, &stop))).collect();
        for _ in 0..20 {
            process = restart(&mut program, process);
        }
        stop.store(true, Ordering::Relaxed);
        counted.extend(clients.into_iter().map(|client| client.join().unwrap()));
    });
    kill_process(process, Signal::TERM).unwrap();
    program.wait().stdout.lines().for_each(assert_stopped_well);
    assert_nothing_lost(&counted);
}

#[track_caller]
fn assert_nothing_lost(counted: &[Counted]) {
    for client in counted {
        assert!(client.errors.is_empty() && client.asked == client.answered, "{client:?}");
    }
    assert!(counted.iter().map(|client| client.answered).sum::<u64>() > 20, "{counted:?}");
}
