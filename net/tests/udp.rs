//! UDP sockets over the loopback.

mod common;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use common::{guarded, run, runtime};
use heist_net::UdpSocket;
use heist_reactor::Direction;
use heist_scheduler::{spawn, yield_now};
use socket2::SockRef;

async fn bound() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[test]
fn datagrams_go_both_ways() {
    run(async {
        let (one, other) = (bound().await, UdpSocket::bind(("localhost", 0)).await.unwrap());
        let address = one.local_addr().unwrap();
        assert_eq!(other.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        other.connect(address).await.unwrap();
        assert_eq!(other.peer_addr().unwrap(), address);
        let mut buffer = [0; 8];
        for round in 0..1000_u32 {
            other.send(&round.to_le_bytes()).await.unwrap();
            assert_eq!(one.peek_from(&mut buffer).await.unwrap().0, 4);
            let (length, peer) = one.recv_from(&mut buffer).await.unwrap();
            assert_eq!(one.send_to(&buffer[..length], peer).await.unwrap(), 4);
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 4);
            assert_eq!(buffer[..4], round.to_le_bytes());
        }
        // An empty datagram is one, too.
        other.send(b"").await.unwrap();
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 0);
        let port = address.port();
        assert_eq!(one.send_to(b"to a name", ("127.0.0.1", port)).await.unwrap(), 9);
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 8, "the rest is cut");
    });
}

/// Failure: of several tasks that wait on one socket one is woken, and datagrams are left.
#[test]
fn each_datagram_wakes_a_task_that_waits() {
    const TASKS: usize = 50;
    run(async {
        let socket = Arc::new(bound().await);
        let receivers: Vec<_> = (0..TASKS)
            .map(|_| {
                let socket = Arc::clone(&socket);
                spawn(async move {
                    let mut byte = [0];
                    socket.recv_from(&mut byte).await.map(|_| byte[0] as usize)
                })
            })
            .collect();
        // A receiver that gives up takes no datagram with it.
        let mut given_up = Box::pin(async { socket.recv(&mut [0]).await });
        let mut cx = Context::from_waker(Waker::noop());
        assert!(given_up.as_mut().poll(&mut cx).is_pending());
        let sender = bound().await;
        for byte in 0..TASKS as u8 {
            sender.send_to(&[byte], socket.local_addr().unwrap()).await.unwrap();
        }
        drop(given_up);
        let mut received = Vec::new();
        for receiver in receivers {
            received.push(receiver.await.unwrap().unwrap());
        }
        received.sort_unstable();
        assert_eq!(received, (0..TASKS).collect::<Vec<_>>());
    });
}

/// Failure: a report that brings an error alone, and no datagram, is lost, or keeps a worker busy.
#[test]
fn unreachable_port_is_an_error_once() {
    run(async {
        // Linux has all of 127.0.0.0/8, and no other socket is bound to this address: the port stays free.
        let host = if cfg!(target_os = "linux") { "127.0.0.6:0" } else { "127.0.0.1:0" };
        let gone = UdpSocket::bind(host).await.unwrap().local_addr().unwrap();
        let socket = bound().await;
        socket.connect(gone).await.unwrap();
        let mut buffer = [0; 8];
        for _ in 0..3 {
            let mut waiting = pin!(socket.recv(&mut buffer));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            socket.send(b"x").await.unwrap();
            let error = waiting.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        // Readiness leaves the error to the operation.
        socket.send(b"x").await.unwrap();
        socket.readable().await.unwrap();
        let error = socket.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        let polls = Arc::new(AtomicUsize::new(0));
        let (socket, counted) = (Arc::new(socket), Arc::clone(&polls));
        let receiving = Arc::clone(&socket);
        let received = spawn(async move {
            let mut buffer = [0; 8];
            poll_fn(|cx| {
                // Relaxed: the counter publishes nothing.
                counted.fetch_add(1, Ordering::Relaxed);
                receiving.poll_recv(cx, &mut buffer)
            })
            .await
        });
        while polls.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
        for _ in 0..1000 {
            yield_now().await;
        }
        let polled = polls.load(Ordering::Relaxed);
        assert!(polled < 10, "polled {polled} times though nothing comes");
        // It goes on: here is its peer again.
        let peer = UdpSocket::bind(gone).await.unwrap();
        peer.send_to(b"back", socket.local_addr().unwrap()).await.unwrap();
        assert_eq!(received.await.unwrap().unwrap(), 4);
    });
}

#[test]
fn operations_that_do_not_wait() {
    run(async {
        let (one, other) = (bound().await, bound().await);
        let address = one.local_addr().unwrap();
        let mut buffer = [0; 8];
        let nothing = |outcome: io::Result<usize>| outcome.unwrap_err().kind();
        assert_eq!(nothing(one.try_recv(&mut buffer)), ErrorKind::WouldBlock);
        assert_eq!(other.try_send_to(b"one", address).unwrap(), 3);
        one.readable().await.unwrap();
        assert_eq!(one.try_recv_from(&mut buffer).unwrap(), (3, other.local_addr().unwrap()));
        other.connect(address).await.unwrap();
        other.writable().await.unwrap();
        assert_eq!(other.try_send(b"four").unwrap(), 4);
        one.readable().await.unwrap();
        let received = one.try_io(Direction::Read, || {
            SockRef::from(&one).recv(&mut [std::mem::MaybeUninit::uninit(); 8])
        });
        assert_eq!(received.unwrap(), 4);
        one.set_broadcast(true).unwrap();
        assert!(one.broadcast().unwrap() && one.take_error().unwrap().is_none());
        let one = one.into_std().unwrap();
        assert_eq!(one.local_addr().unwrap(), address);
    });
}

#[test]
fn shutdown_ends_a_wait_for_a_datagram() {
    let runtime = runtime();
    let socket = runtime.block_on(guarded(bound()));
    let receiver = runtime.spawn(async move { socket.recv(&mut [0; 8]).await });
    let report = runtime.shutdown(common::GUARD);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0));
    assert!(receiver.is_finished());
}
