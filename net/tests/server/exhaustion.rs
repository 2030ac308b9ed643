//! Exhaustion of descriptors, in a process of its own, because the limit is the process's.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use heist_net::server::{Address, Limits, Refusal};
use heist_net::{Runtime, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::runtime;
use crate::stage::{Client, Stage, echo, until};

/// This test binary, run again as a server with few descriptors.
struct Program {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(test: &str) -> Program {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Program { child, orders, lines: BufReader::new(output).lines() }
    }

    /// The words of the next line that the server printed for this test.
    fn next_words(&mut self) -> Vec<String> {
        for line in &mut self.lines {
            if let Some(words) = line.unwrap().split_once(WORD) {
                return words.1.split_whitespace().map(str::to_owned).collect();
            }
        }
        panic!("the server has ended")
    }

    fn address(&mut self) -> Address {
        Address::Tcp(self.next_words()[0].parse::<SocketAddr>().unwrap())
    }

    fn order(&mut self) {
        writeln!(self.orders, "go on").unwrap();
    }

    /// Ends the server and returns the metrics that it prints.
    fn printed_metrics(mut self) -> Vec<u64> {
        self.order();
        let metrics = self.next_words().iter().map(|word| word.parse().unwrap()).collect();
        drop(self.orders);
        assert!(self.child.wait().unwrap().success());
        metrics
    }
}

fn print(words: impl std::fmt::Display) {
    let mut output = std::io::stdout();
    writeln!(output, "{WORD}{words}").unwrap();
}

fn await_order() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Leaves this process few descriptors.
fn limit_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum }).unwrap();
}

/// Starts a server that no limit of its own keeps from using all descriptors, and prints its address.
fn serve(runtime: &Runtime) -> Server {
    let limits = Limits { connections: 10_000, ..Limits::default() };
    let server = echo(limits).start_on(runtime.handle()).unwrap();
    print(&server.addresses()[0]);
    server
}

fn accept_errors(server: &Server) -> u64 {
    server.metrics().accept_errors.iter().map(|(_, count)| count).sum()
}

#[test]
fn emfile_is_no_storm_and_every_client_is_served() {
    if is_child() {
        limit_descriptors();
        let stage = Stage::new();
        let server = serve(&stage.runtime);
        // The first failure, with clients left in the backlog. While no connection ends and no time
        // passes there is no other one, and one for each second that passes.
        for failures in 1..=3 {
            until(|| accept_errors(&server) >= failures);
            stage.pass(Duration::ZERO);
            assert_eq!(accept_errors(&server), failures);
            if failures < 3 {
                // A deadline is rounded up, by less than a millisecond.
                stage.pass(Duration::from_millis(1001));
            }
        }
        print("full");
        await_order();
        let metrics = server.metrics();
        let ended: u64 = metrics.closed.iter().map(|(_, count)| count).sum();
        print(format_args!("{} {ended} {}", metrics.accepted, accept_errors(&server)));
        return;
    }
    let mut program = Program::start("exhaustion::emfile_is_no_storm_and_every_client_is_served");
    let address = program.address();
    // More clients than the server has descriptors, all connected before the first one leaves.
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::of(&address)).collect();
    assert_eq!(program.next_words(), ["full"]);
    // The server closes each connection that it has answered, in whatever order it accepts them.
    for client in &mut clients {
        client.send("hello\n");
        client.0.shutdown(Shutdown::Write).unwrap();
    }
    for mut client in clients {
        client.expect("hello\n");
        client.assert_closed();
    }
    let metrics = program.printed_metrics();
    let [accepted, ended, failures] = metrics[..] else { panic!("{metrics:?}") };
    assert_eq!(accepted, CLIENTS);
    // Time stands still: at most one failure more for each connection that has ended.
    assert!((3..=3 + ended).contains(&failures), "{metrics:?}");
}

#[test]
fn emfile_without_a_connection_to_wait_for_refuses_instead_of_hanging() {
    if is_child() {
        limit_descriptors();
        let runtime = runtime();
        let server = serve(&runtime);
        let hoard: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        print("full");
        await_order();
        drop(hoard);
        print("empty");
        await_order();
        let metrics = server.metrics();
        let refused = metrics.refused_for(Refusal::Exhausted);
        print(format_args!("{} {refused} {}", metrics.accepted, accept_errors(&server)));
        return;
    }
    let mut program = Program::start(
        "exhaustion::emfile_without_a_connection_to_wait_for_refuses_instead_of_hanging",
    );
    let address = program.address();
    program.next_words();
    for _ in 0..5 {
        Client::of(&address).assert_closed();
    }
    program.order();
    program.next_words();
    Client::of(&address).ask("hello\n");
    let metrics = program.printed_metrics();
    assert_eq!(metrics[..2], [1, 5]);
    // At most two for each refused connection: no storm while no connection is pending.
    assert!(metrics[2] <= 10 + 2, "{metrics:?}");
}

/// How many descriptors the server may have.
const DESCRIPTORS: u64 = 256;

/// More than the server has descriptors; those that it has none for fit into a backlog of 128, the
/// smallest that is a default of a system.
const CLIENTS: u64 = DESCRIPTORS + 44;

const CHILD: &str = "HEIST_TEST_CHILD";

/// The prefix of each line that the test harness did not print. The harness prints its own text in
/// front of the first one.
const WORD: &str = "server: ";
