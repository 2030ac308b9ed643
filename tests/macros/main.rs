//! The attributes `heist::main` and `heist::test`, as their users write them.

use std::process::{Command, ExitCode, Termination};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::time::{self, ManualClock};
use heist::{Handle, spawn, spawn_blocking};

/// heist, as a crate that re-exports it has it.
mod kit {
    pub(crate) mod nested {
        pub(crate) use heist::*;
    }
}

#[heist::test]
async fn test_runs_tasks_on_its_own_thread() {
    let ran_on = spawn(async { thread::current().id() }).await.unwrap();
    assert_eq!(ran_on, thread::current().id());
    assert_eq!(Handle::current().workers(), 1);
}

#[heist::test(workers = 3)]
async fn test_with_workers_has_so_many() {
    assert_eq!(Handle::current().workers(), 3);
    let ran_on = spawn(async { thread::current().id() }).await.unwrap();
    assert_ne!(ran_on, thread::current().id());
}

#[heist::test(current_thread)]
async fn test_has_sockets_timers_and_blocking_work() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = spawn(async move {
        let (mut stream, _peer) = listener.accept().await?;
        time::sleep(Duration::from_millis(1)).await;
        stream.write_all(b"hello").await
    });
    let mut stream = TcpStream::connect(address).await?;
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).await?;
    server.await??;
    assert_eq!(spawn_blocking(move || greeting).await?, *b"hello");
    Ok(())
}

#[heist::test]
#[should_panic(expected = "told by the test")]
async fn test_may_be_expected_to_panic() {
    time::sleep(Duration::from_millis(1)).await;
    panic!("told by the test");
}

#[heist::test]
async fn test_may_return_an_exit_code() -> ExitCode {
    ExitCode::SUCCESS
}

#[heist::test]
async fn test_may_return_what_ends_a_program() -> impl Termination {
    Ok::<(), std::io::Error>(())
}

#[heist::test(crate = "crate::kit::nested")]
async fn test_finds_heist_where_it_is_told_to() {
    spawn(async {}).await.unwrap();
}

#[heist::test(crate = kit::nested, workers = 1)]
async fn test_finds_heist_without_quotes_too() {
    spawn(async {}).await.unwrap();
}

/// The time that passes is that of the clock alone.
#[heist::test(manual_clock)]
async fn test_on_a_manual_clock_moves_the_time(clock: ManualClock) {
    let start = time::Instant::now();
    let rang = Arc::new(AtomicBool::new(false));
    let alarm = {
        let rang = Arc::clone(&rang);
        spawn(async move {
            time::sleep(Duration::from_secs(3600)).await;
            rang.store(true, Ordering::SeqCst);
        })
    };
    heist::yield_now().await;
    clock.advance(Duration::from_secs(3599));
    heist::yield_now().await;
    assert!(!rang.load(Ordering::SeqCst));
    clock.advance(Duration::from_secs(2));
    alarm.await.unwrap();
    assert!(rang.load(Ordering::SeqCst));
    assert_eq!(time::Instant::now() - start, Duration::from_secs(3601));
}

/// A function of a program that is not asynchronous.
#[heist::main(workers = 2)]
async fn answer() -> Result<u32, heist::JoinError> {
    spawn(async { 6 * 7 }).await
}

#[heist::main(current_thread)]
async fn worker_threads() -> usize {
    usize::from(spawn(async { thread::current().id() }).await.unwrap() != thread::current().id())
}

#[test]
fn main_may_have_another_name_and_output() {
    assert_eq!(answer().unwrap(), 42);
    assert_eq!(worker_threads(), 0);
}

/// Failure: a panic with a backtrace for a variable that is misspelt.
#[test]
fn main_whose_runtime_does_not_start_says_why_and_exits_with_1() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "main_may_have_another_name_and_output", "--nocapture"])
        .env("HEIST_BUDGET", "plenty")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    let line = "heist: the runtime did not start: HEIST_BUDGET is \"plenty\"";
    assert!(told.lines().any(|told| told.starts_with(line)), "{told}");
}

/// Failure: a test's outcome depended on the environment.
#[test]
fn tests_ignore_the_environment() {
    let tests = ["test_runs_tasks_on_its_own_thread", "test_with_workers_has_so_many"];
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("--exact")
        .args(tests)
        .env("HEIST_WORKERS", "many")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
