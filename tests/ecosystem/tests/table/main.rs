//! Rows of the table of `docs/guide/src/ecosystem.md`: what runs on a runtime of heist without one of tokio.

mod lapin;
mod openraft;
mod quinn;
mod smol_crates;
mod tls;
mod tokio_parts;
mod websockets;

use std::future::Future;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::{Runtime, spawn, time};

/// Runs `future` in a task of a runtime of heist, and not of tokio.
fn run<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = Runtime::new().expect("a runtime starts");
    let task = async {
        assert!(tokio::runtime::Handle::try_current().is_err(), "no runtime of tokio is entered");
        time::timeout(GUARD, future).await.expect("the test ends")
    };
    runtime.block_on(async { spawn(task).await.expect("the test does not panic") })
}

/// Two ends of a TCP connection.
async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _peer) = listener.accept().await.unwrap();
    (near, far)
}

/// A guard against a hang.
const GUARD: Duration = Duration::from_secs(120);
