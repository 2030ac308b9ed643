//! No worker sleeps while work waits: each test ends only if the waiting work was done by another
//! worker, and hangs otherwise.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use heist::Runtime;
use heist::net::{TcpListener, TcpStream};

/// Far beyond what anything here takes: reached only by a hang.
const HANG: Duration = Duration::from_secs(60);

/// With as many workers as the environment says, if those are enough.
fn runtime(workers: usize) -> Runtime {
    let builder = || heist::Builder::new().workers(workers);
    let runtime = builder().start().unwrap();
    match runtime.handle().workers() >= workers {
        true => runtime,
        false => builder().ignore_environment().start().unwrap(),
    }
}

/// Serves every connection with `handler`, a byte at a time; returns where.
fn serve<H>(runtime: &Runtime, handler: H) -> SocketAddr
where
    H: Fn(u8) -> u8 + Clone + Send + Sync + 'static,
{
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(heist::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(heist::spawn(answer(stream, handler.clone())));
            }
        }));
        address
    })
}

async fn answer(mut stream: TcpStream, handler: impl Fn(u8) -> u8) {
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte).await {
        if stream.write_all(&[handler(byte[0])]).await.is_err() {
            return;
        }
    }
}

fn connect(address: SocketAddr) -> StdStream {
    let stream = StdStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn ask(stream: &mut StdStream, byte: u8) -> u8 {
    stream.write_all(&[byte]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    answer[0]
}

/// cats-effect 4628, tokio 4730: blocked workers hold up the I/O of the others.
#[test]
fn hogs_on_all_workers_but_one_do_not_stop_io() {
    let runtime = runtime(4);
    let address = serve(&runtime, |byte| byte + 1);
    let hogs = runtime.handle().workers() - 1;
    let mut client = connect(address);
    for round in 0..50 {
        let mut releases = Vec::new();
        let (entered, inside) = mpsc::channel();
        for _ in 0..hogs {
            let (release, hold) = mpsc::channel::<()>();
            let entered = entered.clone();
            releases.push(release);
            drop(runtime.spawn(async move {
                entered.send(()).unwrap();
                // Until the client has its answer, whichever worker this is.
                let _ = hold.recv_timeout(HANG);
            }));
        }
        for _ in 0..hogs {
            inside.recv_timeout(HANG).unwrap();
        }
        assert_eq!(ask(&mut client, round), round + 1);
    }
}

#[test]
fn a_hog_on_the_only_listener_is_rescued() {
    let runtime = runtime(2);
    let (served, seen) = mpsc::channel();
    let (stuck, is_stuck) = mpsc::channel();
    let seen = Arc::new(parking_lot::Mutex::new(seen));
    let address = serve(&runtime, move |byte| {
        if byte == b'h' {
            stuck.send(()).unwrap();
            // The worker that took this event off the queue stays here until another has taken the
            // next one.
            seen.lock().recv_timeout(HANG).unwrap();
        } else {
            served.send(()).unwrap();
        }
        byte
    });
    let (mut hog, mut other) = (connect(address), connect(address));
    for _ in 0..100 {
        hog.write_all(b"h").unwrap();
        is_stuck.recv_timeout(HANG).unwrap();
        assert_eq!(ask(&mut other, b'o'), b'o');
        let mut answer = [0];
        hog.read_exact(&mut answer).unwrap();
    }
}

#[test]
fn a_burst_of_requests_spreads_over_all_workers() {
    let runtime = runtime(16);
    // The environment may say otherwise.
    let workers = runtime.handle().workers();
    // Each handler waits for one on each other worker: ends only if all run at once, four times over.
    let all = Arc::new(Barrier::new(workers));
    let address = serve(&runtime, move |byte| {
        all.wait();
        byte
    });
    let mut clients: Vec<_> = (0..4 * workers).map(|_| connect(address)).collect();
    for _ in 0..5 {
        clients.iter_mut().for_each(|client| client.write_all(b"b").unwrap());
        for client in &mut clients {
            let mut answer = [0];
            client.read_exact(&mut answer).unwrap();
        }
    }
}

/// Tasks that wake themselves keep every worker busy; sockets are looked at all the same.
#[test]
fn self_wakers_on_every_worker_do_not_stop_io() {
    let runtime = runtime(2);
    let address = serve(&runtime, |byte| byte);
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..8 {
        let stop = Arc::clone(&stop);
        drop(runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                heist::yield_now().await;
            }
        }));
    }
    let mut client = connect(address);
    for byte in 0..100 {
        assert_eq!(ask(&mut client, byte), byte);
    }
    stop.store(true, Ordering::Relaxed);
}

/// The wake for a task from outside must not be eaten by workers that are busy with I/O.
#[test]
fn tasks_from_outside_run_while_sockets_are_busy() {
    let runtime = runtime(2);
    let address = serve(&runtime, |byte| byte);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut client = connect(address);
                while !stop.load(Ordering::Relaxed) {
                    ask(&mut client, 1);
                }
            })
        })
        .collect();
    for _ in 0..500 {
        let (ran, saw) = mpsc::channel();
        drop(runtime.spawn(async move { ran.send(()).unwrap() }));
        saw.recv_timeout(HANG).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
}
