//! Sockets with a `SO_LINGER` that was set by other means: closing one would wait for the peer.

mod common;

use std::future::{Future, poll_fn};
use std::os::fd::AsFd;
use std::task::Poll;
use std::time::Duration;

use common::guarded;
use heist_net::protocol::{self, Context, Protocol};
use heist_net::server::{Address, Listener};
use heist_net::{Builder, Connection, Server, Stream, TcpListener, TcpStream};
use heist_scheduler::spawn;
use socket2::SockRef;

/// Longer than the guard of a test.
const LINGER: Duration = Duration::from_secs(600);

fn linger(socket: &impl AsFd) {
    SockRef::from(socket).set_linger(Some(LINGER)).unwrap();
}

/// Drops the result of `make` on the only worker, which must then run another task.
fn drop_does_not_wait<T: Send + 'static>(make: impl Future<Output = T>) {
    let runtime = Builder::new().workers(1).start().unwrap();
    runtime.block_on(guarded(async {
        let made = make.await;
        let dropping = spawn(async move { drop(made) });
        spawn(async {}).await.unwrap();
        dropping.await.unwrap();
    }));
}

/// A connected stream, and its peer, which reads nothing.
async fn connected() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (stream, listener.accept().unwrap().0)
}

/// Writes more than the peer's socket buffers.
async fn fill(stream: &mut TcpStream) {
    poll_fn(|cx| {
        while stream.poll_write(cx, &[0; 1 << 16]).is_ready() {}
        Poll::Ready(())
    })
    .await;
}

/// Failure: a dropped stream with `SO_LINGER` blocks its worker for as long as its peer reads
/// nothing.
#[test]
fn stream_that_lingers_does_not_hold_up_the_worker_that_drops_it() {
    drop_does_not_wait(async {
        let (mut stream, peer) = connected().await;
        linger(&stream);
        fill(&mut stream).await;
        (stream, peer)
    });
}

#[test]
fn halves_that_linger_do_not_hold_up_the_worker_that_drops_them() {
    drop_does_not_wait(async {
        let (mut stream, peer) = connected().await;
        linger(&stream);
        fill(&mut stream).await;
        (stream.into_split(), peer)
    });
}

#[test]
fn stream_that_lingered_before_it_was_taken_over_does_not_hold_up_its_worker() {
    drop_does_not_wait(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let duplicate = stream.try_clone().unwrap();
        let mut stream = TcpStream::from_std(stream).unwrap();
        // Through a descriptor that this crate does not know of.
        linger(&duplicate);
        drop(duplicate);
        fill(&mut stream).await;
        (stream, listener.accept().unwrap())
    });
}

/// Failure: accepted sockets inherit `SO_LINGER` from their listener.
#[test]
fn streams_of_a_listener_that_lingers_do_not_hold_up_their_worker() {
    for taken_over in [false, true] {
        drop_does_not_wait(async move {
            let listener = match taken_over {
                false => {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    linger(&listener);
                    listener
                }
                true => {
                    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                    linger(&listener);
                    TcpListener::from_std(listener).unwrap()
                }
            };
            let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            fill(&mut stream).await;
            (stream, peer)
        });
    }
}

/// Writes more than its peer reads, and aborts.
struct Floods;

impl Protocol for Floods {
    type Message = std::convert::Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        cx.write(&vec![0; 16 << 20]);
        cx.set_deadline_in(Duration::from_millis(1));
    }

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }

    fn deadline(&mut self, cx: &mut Context<'_>) {
        cx.abort();
    }
}

#[test]
fn protocol_whose_stream_lingers_does_not_hold_up_its_worker() {
    let runtime = Builder::new().workers(1).start().unwrap();
    runtime.block_on(guarded(async {
        let (stream, _peer) = connected().await;
        linger(&stream);
        let ending = spawn(async { drop(Connection::new(Stream::from(stream), Floods).await) });
        ending.await.unwrap();
    }));
}

#[test]
fn connections_of_a_server_whose_listener_lingers_do_not_hold_up_their_worker() {
    let runtime = Builder::new().workers(1).start().unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    linger(&listener);
    let server =
        Server::builder().listen(listener).protocol(|_| Floods).start_on(runtime.handle()).unwrap();
    let Address::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };
    let _peer = std::net::TcpStream::connect(address).unwrap();
    runtime.block_on(guarded(async {
        while server.metrics().closed.iter().all(|(_, count)| *count == 0) {
            spawn(async {}).await.unwrap();
        }
        spawn(async {}).await.unwrap();
    }));
}

/// Failure: the reset that a time of zero asks for is taken back with the wait.
#[test]
fn stream_that_is_to_be_reset_is_reset() {
    use std::io::Read;

    for by_method in [true, false] {
        common::run(async {
            let (stream, mut peer) = connected().await;
            match by_method {
                true => stream.set_zero_linger().unwrap(),
                false => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
            }
            drop(stream);
            let error = peer.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        });
    }
}
