//! Shutting down ends every wait and leaves no thread and no descriptor behind.
//!
//! One test function, since it counts the threads and descriptors of the process.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heist::Runtime;
use heist::net::{TcpListener, TcpStream};

/// Far beyond what anything here takes: reached only by a hang.
const HANG: Duration = Duration::from_secs(60);

fn runtime(workers: usize) -> Runtime {
    heist::Builder::new().workers(workers).start().unwrap()
}

fn shut_down(runtime: Runtime, what: &str) {
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{what}: {report:?}");
}

fn threads_and_descriptors() -> (usize, usize) {
    let entries = |path| fs::read_dir(path).unwrap().count();
    (entries("/proc/self/task"), entries("/proc/self/fd"))
}

#[test]
fn nothing_is_left_wherever_the_runtime_was_stopped() {
    let before = threads_and_descriptors();
    ten_thousand_shutdowns_with_several_workers_asleep();
    stop_while_accepting();
    stop_while_writing_to_a_slow_reader();
    stop_while_connections_are_idle();
    // The system lists a thread for a moment longer than a join waits for it.
    let start = Instant::now();
    while threads_and_descriptors() != before {
        let left = threads_and_descriptors();
        assert!(start.elapsed() < HANG, "there were {before:?}, and {left:?} are left");
        std::thread::yield_now();
    }
}

fn ten_thousand_shutdowns_with_several_workers_asleep() {
    for _ in 0..10_000 {
        shut_down(runtime(3), "asleep");
    }
}

fn stop_while_accepting() {
    for _ in 0..50 {
        let runtime = runtime(2);
        let (bound, address) = mpsc::channel();
        drop(runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            let mut streams = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                streams.push(stream);
            }
        }));
        let address = address.recv_timeout(HANG).unwrap();
        // Connects until the listener is gone.
        let connecting = std::thread::spawn(move || {
            let mut streams = Vec::new();
            while let Ok(stream) = StdStream::connect(address) {
                streams.push(stream);
                if streams.len() > 200 {
                    streams.clear();
                }
            }
        });
        shut_down(runtime, "accepting");
        connecting.join().unwrap();
    }
}

fn stop_while_writing_to_a_slow_reader() {
    for _ in 0..50 {
        let runtime = runtime(2);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (blocked, is_blocked) = mpsc::channel();
        drop(runtime.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let bytes = vec![0; 1 << 20];
            loop {
                // Tells when it begins to wait for a peer that never reads.
                let waits = {
                    let mut write = std::pin::pin!(stream.write(&bytes));
                    std::future::poll_fn(|cx| {
                        std::task::Poll::Ready(write.as_mut().poll(cx).is_pending())
                    })
                    .await
                };
                if waits {
                    blocked.send(()).unwrap();
                    stream.write_all(&bytes).await.unwrap_or_default();
                    return;
                }
            }
        }));
        let (peer, _) = listener.accept().unwrap();
        is_blocked.recv_timeout(HANG).unwrap();
        shut_down(runtime, "writing");
        drop(peer);
    }
}

fn stop_while_connections_are_idle() {
    let runtime = runtime(2);
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(heist::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                drop(heist::spawn(async move {
                    let mut byte = [0];
                    while let Ok(1) = stream.read(&mut byte).await {
                        if stream.write_all(&byte).await.is_err() {
                            return;
                        }
                    }
                }));
            }
        }));
        address
    });
    let mut clients: Vec<_> = (0..100).map(|_| StdStream::connect(address).unwrap()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    assert!(runtime.handle().metrics().tasks_alive >= 101);
    shut_down(runtime, "idle");
    for client in &mut clients {
        client.set_read_timeout(Some(HANG)).unwrap();
        // The end, or a reset: the socket is closed.
        assert!(!matches!(client.read(&mut [0]), Ok(1)));
    }
}
