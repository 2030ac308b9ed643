//! What a benchmark has started ends with it.

use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe, stdout};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::measure::guard::end_with_cargo;
use crate::measure::machine::Machine;
use crate::measure::program::Program;

/// Failure: a benchmark is interrupted or killed, and its servers and loads go on.
#[test]
fn programs_end_with_a_benchmark_that_is_interrupted_or_killed() {
    if std::env::var_os(ROLE).is_some() {
        return measure();
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let name = "interrupted::programs_end_with_a_benchmark_that_is_interrupted_or_killed";
        let mut benchmark = Command::new(std::env::current_exe().unwrap());
        benchmark.args(["--exact", name, "--nocapture"]);
        let (mut benchmark, held) = start(benchmark);
        kill(Pid::from_raw(benchmark.id() as i32), signal).unwrap();
        benchmark.wait().unwrap();
        assert!(closes(held), "a program outlives a benchmark that {signal} ends");
    }
}

/// Failure: cargo is killed, and the benchmark that it has started goes on.
#[test]
fn benchmark_and_its_programs_end_with_cargo() {
    if std::env::var_os(ROLE).is_some() {
        return measure();
    }
    // The shell is in the place of cargo.
    let mut cargo = Command::new("sh");
    cargo.args(["-c", "\"$@\" & wait", "sh"]).arg(std::env::current_exe().unwrap());
    cargo.args(["--exact", "interrupted::benchmark_and_its_programs_end_with_cargo"]);
    cargo.arg("--nocapture").env("CARGO", "cargo");
    let (mut cargo, held) = start(cargo);
    cargo.kill().unwrap();
    cargo.wait().unwrap();
    assert!(closes(held), "a program outlives cargo");
}

/// The role of a benchmark in its measurement: a program runs, and has started another.
fn measure() {
    end_with_cargo().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("sleep {LIFE} & echo {STARTED}; wait")]);
    let mut program = Program::start(&mut command, &Machine::read().unwrap().cpus).unwrap();
    stdout().write_all(format!("{}\n", program.line().unwrap()).as_bytes()).unwrap();
    // Ends when the program does, so not before this process.
    let _ = program.line();
}

/// Starts a benchmark, and waits until its program runs. Every process that it starts inherits the other end of the pipe.
fn start(mut command: Command) -> (Child, PipeReader) {
    let (held, holder) = pipe().unwrap();
    let mut child =
        command.env(ROLE, "benchmark").stdout(Stdio::piped()).stderr(holder).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let started = output.lines().any(|line| line.unwrap().contains(STARTED));
    assert!(started, "the benchmark ended before its program ran");
    (child, held)
}

/// Whether every process that holds the other end of the pipe ends.
fn closes(mut held: PipeReader) -> bool {
    let (end, ended) = channel();
    std::thread::spawn(move || {
        let _ = end.send(held.read_to_end(&mut Vec::new()));
    });
    ended.recv_timeout(PATIENCE).is_ok()
}

const ROLE: &str = "HEIST_TEST_ROLE";
const STARTED: &str = "program-runs";
/// Seconds for which a program runs that nothing ends.
const LIFE: u64 = 600;
/// Longer than any process needs to end on a busy machine. After a minute the test runner of the process writes to a
/// pipe that is closed by then, and ends.
const PATIENCE: Duration = Duration::from_secs(40);
