//! An idle runtime makes no system calls, whatever is connected to it.
//!
//! One test function, since it looks at all threads of the process.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heist::net::TcpListener;

/// Far beyond what anything here takes: reached only by a runtime that does not rest.
const HANG: Duration = Duration::from_secs(60);

/// Times that threads named `idle-` were put on a CPU: a thread that makes no system call and does
/// not run is never switched to.
fn switches() -> u64 {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        if name.starts_with("idle-") {
            sum += status
                .lines()
                .filter(|line| line.contains("ctxt_switches"))
                .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
                .sum::<u64>();
        }
    }
    sum
}

#[test]
fn an_idle_runtime_with_idle_connections_and_far_timers_does_nothing() {
    let runtime = heist::Builder::new().workers(4).thread_name("idle").start().unwrap();
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(heist::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                drop(heist::spawn(async move {
                    let mut byte = [0];
                    while let Ok(Ok(1)) =
                        heist::time::timeout(Duration::from_secs(3600), stream.read(&mut byte))
                            .await
                    {
                        let _ = stream.write_all(&byte).await;
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
    assert!(switches() > 0);
    // The monitor follows within one of its periods; then no thread runs for a quarter of a second.
    // Nothing is awaited here: that nothing comes is what is tested.
    let (_never, silence) = mpsc::channel::<()>();
    let start = Instant::now();
    loop {
        let before = switches();
        assert!(silence.recv_timeout(Duration::from_millis(250)).is_err());
        if switches() == before {
            break;
        }
        assert!(start.elapsed() < HANG, "an idle runtime keeps waking up");
    }
}
