//! Files, processes, signals, sockets, timers and tasks of tokio.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use crate::Beside;

#[test]
fn files_are_written_and_read() {
    Beside::new().run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        tokio::fs::write(&path, b"hello").await.unwrap();
        let mut file = tokio::fs::File::open(&path).await.unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    });
}

#[test]
fn processes_are_piped_and_awaited() {
    Beside::new().run(async {
        let mut child = tokio::process::Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"hello").await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"hello");
    });
}

#[test]
fn signals_arrive() {
    Beside::new().run(async {
        let mut signals = signal(SignalKind::user_defined1()).unwrap();
        kill_process(getpid(), Signal::USR1).unwrap();
        signals.recv().await.unwrap();
    });
}

#[test]
fn sockets_timers_and_tasks_join_those_of_heist() {
    Beside::new().run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
        // heist's socket by tokio's traits.
        let mut stream = heist::net::TcpStream::connect(address).await.unwrap();
        AsyncWriteExt::write_all(&mut stream, b"hello").await.unwrap();
        AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        let mut answer = Vec::new();
        AsyncReadExt::read_to_end(&mut stream, &mut answer).await.unwrap();
        assert_eq!(answer, b"hello");
        echo.await.unwrap();

        let never = std::future::pending::<()>();
        assert!(tokio::time::timeout(Duration::from_millis(1), never).await.is_err());
        let mut interval = tokio::time::interval(Duration::from_millis(1));
        interval.tick().await;
        interval.tick().await;
        // A task of heist, awaited in one of tokio.
        let task = heist::spawn(async { 6 * 7 });
        assert_eq!(tokio::spawn(async { task.await.unwrap() }).await.unwrap(), 42);
    });
}
