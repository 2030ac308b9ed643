//! Exhaustion of descriptors, in a process of its own, because the limit is the process's.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use heist_net::Server;
use heist_net::server::{Address, Limits, Refusal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::runtime;
use crate::stage::{Client, echo};

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

fn serve() -> (heist_net::Runtime, Server) {
    let limit = Rlimit { current: Some(256), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
    let runtime = runtime();
    let limits = Limits { connections: 10_000, ..Limits::default() };
    let server = echo(limits).start_on(runtime.handle()).unwrap();
    print(&server.addresses()[0]);
    (runtime, server)
}

fn accept_errors(server: &Server) -> u64 {
    server.metrics().accept_errors.iter().map(|(_, count)| count).sum()
}

#[test]
fn emfile_is_no_storm_and_every_client_is_served() {
    if is_child() {
        let (_runtime, server) = serve();
        await_order();
        print(format_args!("{} {}", server.metrics().accepted, accept_errors(&server)));
        return;
    }
    let mut program = Program::start("exhaustion::emfile_is_no_storm_and_every_client_is_served");
    let address = program.address();
    // Four times as many clients at once as the server has descriptors; each leaves when it was
    // answered.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut clients: Vec<_> = (0..250).map(|_| Client::of(&address)).collect();
                clients.iter_mut().for_each(|client| client.send("hello\n"));
                clients.into_iter().for_each(|mut client| client.expect("hello\n"));
            });
        }
    });
    let metrics = program.printed_metrics();
    assert_eq!(metrics[0], 1000);
    // At most one failure for each connection that ends, and one a second.
    assert!((1..=1100).contains(&metrics[1]), "{metrics:?}");
}

#[test]
fn emfile_without_a_connection_to_wait_for_refuses_instead_of_hanging() {
    if is_child() {
        let (_runtime, server) = serve();
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

const CHILD: &str = "HEIST_TEST_CHILD";

/// The prefix of each line that the test harness did not print. The harness prints its own text in
/// front of the first one.
const WORD: &str = "server: ";
