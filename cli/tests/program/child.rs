//! The program as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use heist_tests::exposition;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use heist_tests::http_client::Client;

/// A running `heist`; dropping it kills it and its successors.
pub(crate) struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The line with the addresses.
    pub(crate) greeting: String,
}

/// A page for Prometheus.
pub(crate) struct Metrics(Vec<exposition::Family>);

impl Metrics {
    /// The value of the one series called `name` that has these labels.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        exposition::value(&self.0, name, labels)
            .unwrap_or_else(|| panic!("no {name} with {labels:?}, or several"))
    }
}

/// Exit code and output of a program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts it on ports chosen by the system, and waits until it listens. Limits of time that are
    /// not among the options do not end a connection.
    pub(crate) fn start(options: &[&str]) -> Program {
        Program::start_at(&own_address(), options)
    }

    /// As [`start`](Program::start), at the given address.
    pub(crate) fn start_at(address: &str, options: &[&str]) -> Program {
        let mut command = command();
        command.args(["--listen", address, "--admin", address]);
        for (flag, value) in PATIENT {
            if !options.contains(&flag) {
                command.args([flag, value]);
            }
        }
        // Other work on the machine may cause a real overload.
        Program::spawn(command.arg("--no-shed").args(options))
    }

    /// Starts `command`, and waits until it listens.
    pub(crate) fn spawn(command: &mut Command) -> Program {
        let mut child = command.process_group(0).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        stdout.read_line(&mut greeting).unwrap();
        let program = Program { child, stdout, greeting };
        if program.greeting.is_empty() {
            panic!("heist did not start: {:?}", program.wait());
        }
        program
    }

    /// The first TCP address in its greeting.
    pub(crate) fn address(&self) -> SocketAddr {
        let (_, rest) = self.greeting.split_once("://").expect("no URL in the greeting");
        let (address, _) = rest.split_once('/').unwrap();
        address.parse().unwrap()
    }

    /// The address of its admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        let (_, rest) = self.greeting.split_once("admin on http://").expect("no admin listener");
        let (address, _) = rest.split_once('/').unwrap();
        address.parse().unwrap()
    }

    /// Its metrics now.
    pub(crate) fn metrics(&self) -> Metrics {
        let page = Client::connect(self.admin()).get("/metrics");
        Metrics(exposition::parse(page.text()).unwrap())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The next line on its standard output; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// The next line on its standard error that contains `words`.
    pub(crate) fn error_line_with(&mut self, words: &str) -> String {
        let stderr = self.child.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            assert_eq!(stderr.read(&mut byte).unwrap(), 1, "no line says {words:?}");
            line.push(byte[0]);
            if byte[0] == b'\n' {
                let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                if text.contains(words) {
                    return text;
                }
            }
        }
    }

    /// The URL of `path` on its first TCP address. Under TLS by name, since clients send SNI for
    /// names alone.
    pub(crate) fn url(&self, path: &str) -> String {
        let address = self.address();
        match self.greeting.contains("https://") {
            true => format!("https://localhost:{}{path}", address.port()),
            false => format!("http://{address}{path}"),
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Outcome {
        let mut outcome = Outcome { code: None, stdout: String::new(), stderr: String::new() };
        self.stdout.read_to_string(&mut outcome.stdout).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut outcome.stderr).unwrap();
        outcome.code = self.child.wait().unwrap().code();
        outcome
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Limits that outlast each test, however slow the machine is.
pub(crate) const PATIENT: [(&str, &str); 8] = [
    ("--handshake-timeout", "1h"),
    ("--header-timeout", "1h"),
    ("--body-timeout", "1h"),
    ("--write-timeout", "1h"),
    ("--idle-timeout", "1h"),
    ("--upgraded-idle-timeout", "1h"),
    ("--min-rate", "0"),
    ("--grace", "1h"),
];

/// An address of this machine that no other test uses, with any port: once a program has closed its
/// listener, nothing listens there.
pub(crate) fn own_address() -> String {
    static STARTED: AtomicU16 = AtomicU16::new(0);
    // Relaxed: all that matters is that each has a number of its own.
    let [high, low] = STARTED.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("127.1.{high}.{low}:0")
}

/// The binary, with an environment that does not depend on that of the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heist"));
    prepare(&mut command);
    command
}

/// Gives `command` a neutral environment, and pipes its output.
pub(crate) fn prepare(command: &mut Command) {
    command.env_remove("RUST_LOG").env_remove("HEIST_WORKERS").env_remove("HEIST_SHARDS");
    command.env_remove("HEIST_BLOCKING_THREADS").env_remove("HEIST_BUDGET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Runs it until it ends by itself.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
