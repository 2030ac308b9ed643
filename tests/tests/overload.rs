//! Overload is seen where it stands: in the kernel, behind handlers that take long.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use heist::Runtime;
use heist::net::{TcpListener, TcpStream};
use heist_tests::hang_guard;

/// How long a handler keeps its worker, and how many clients ask again as soon as they have an
/// answer: each waits behind half of them, twice the target of 50 ms.
const SERVICE: Duration = Duration::from_millis(5);
const CLIENTS: usize = 40;

#[test]
fn a_queue_in_the_kernel_is_overload_and_its_end_is_seen() {
    let _guard = hang_guard("a_queue_in_the_kernel_is_overload_and_its_end_is_seen");
    // With more workers the same clients are no overload.
    let runtime = heist::Builder::new().ignore_environment().workers(2).start().unwrap();
    let address = serve(&runtime);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS).map(|_| client(address, Arc::clone(&stop))).collect();
    let handle = runtime.handle();
    // One worker takes one event at a time: no queue of the scheduler is long.
    while !handle.is_overloaded() || handle.metrics().event_queue_delay.quantile(1.0) < 0.05 {
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    while handle.is_overloaded() {
        std::thread::yield_now();
    }
}

fn serve(runtime: &Runtime) -> SocketAddr {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(heist::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(heist::spawn(answer(stream)));
            }
        }));
        address
    })
}

async fn answer(mut stream: TcpStream) {
    let (_never, silence) = mpsc::channel::<()>();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte).await {
        // The work of a handler that blocks.
        assert!(silence.recv_timeout(SERVICE).is_err());
        if stream.write_all(&byte).await.is_err() {
            return;
        }
    }
}

fn client(address: SocketAddr, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = StdStream::connect(address).unwrap();
        while !stop.load(Ordering::Relaxed) {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
    })
}
