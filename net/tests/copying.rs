//! Copying between sockets, as a proxy does.

mod common;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use common::{guarded, pair, run};
use futures_io::{AsyncRead, AsyncWrite};
use heist_net::io::{copy, copy_bidirectional};
use heist_net::{Builder, TcpStream};
use heist_scheduler::{JoinHandle, spawn};
use socket2::SockRef;

/// A client and a server with a proxy between them.
async fn proxied() -> (TcpStream, TcpStream, JoinHandle<io::Result<(u64, u64)>>) {
    let ((client, mut front), (mut back, server)) = (pair().await, pair().await);
    for stream in [&client, &front, &back, &server] {
        // So that the sockets hold little of what the proxy does not take.
        SockRef::from(stream).set_recv_buffer_size(1 << 16).unwrap();
        SockRef::from(stream).set_send_buffer_size(1 << 16).unwrap();
    }
    let proxy = spawn(async move { copy_bidirectional(&mut front, &mut back).await });
    (client, server, proxy)
}

/// Failure: the end of one direction cuts the other, so that an answer to a finished request is lost.
#[test]
fn end_of_one_direction_leaves_the_other() {
    run(async {
        for server_ends_first in [false, true] {
            let (client, server, proxy) = proxied().await;
            let (mut first, mut second) =
                if server_ends_first { (server, client) } else { (client, server) };
            first.write_all(b"question").await.unwrap();
            first.shutdown().await.unwrap();
            assert_eq!(second.read_to_end_limited(100).await.unwrap(), b"question");
            assert!(!proxy.is_finished());
            second.write_all(b"answer").await.unwrap();
            let mut answer = [0; 6];
            first.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"answer");
            second.shutdown().await.unwrap();
            assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0);
            let (there, back) = proxy.await.unwrap().unwrap();
            let expected = if server_ends_first { (6, 8) } else { (8, 6) };
            assert_eq!((there, back), expected);
        }
    });
}

#[test]
fn bytes_of_both_directions_arrive_in_order() {
    const LENGTH: usize = 10 << 20;
    run(async {
        let (client, server, proxy) = proxied().await;
        let ends = [(client, 1), (server, 2)].map(|(end, seed)| {
            let (mut reader, mut writer) = end.into_split();
            let written = spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut left = LENGTH;
                while left > 0 {
                    let mut chunk = vec![0; random.usize(1..=left.min(3000))];
                    random.fill(&mut chunk);
                    writer.write_all(&chunk).await.unwrap();
                    left -= chunk.len();
                }
            });
            // The bytes that the other end's writer sends, in the chunks that it sends.
            let read = spawn(async move {
                let mut random = fastrand::Rng::with_seed(3 - seed);
                let mut left = LENGTH;
                while left > 0 {
                    let mut expected = vec![0; random.usize(1..=left.min(3000))];
                    random.fill(&mut expected);
                    let mut chunk = vec![0; expected.len()];
                    reader.read_exact(&mut chunk).await.unwrap();
                    assert!(chunk == expected, "{left} bytes before the end");
                    left -= chunk.len();
                }
                assert_eq!(reader.read(&mut [0; 1]).await.unwrap(), 0);
            });
            [written, read]
        });
        for task in ends.into_iter().flatten() {
            task.await.unwrap();
        }
        assert_eq!(proxy.await.unwrap().unwrap(), (LENGTH as u64, LENGTH as u64));
    });
}

/// Failure: a proxy reads without limit for a peer that does not read, or stops the other direction.
#[test]
fn slow_reader_stops_its_writer_and_not_the_other_direction() {
    run(async {
        let (client, mut server, proxy) = proxied().await;
        let (mut reader, mut writer) = client.into_split();
        let flood = spawn(async move {
            let mut sent = 0;
            while sent < 8 << 20 {
                sent += writer.write(&[7; 1 << 16]).await.unwrap();
            }
            sent
        });
        for _ in 0..1000 {
            server.write_all(b"tick").await.unwrap();
            reader.read_exact(&mut [0; 4]).await.unwrap();
        }
        assert!(!flood.is_finished(), "8 MB are in the sockets and the proxy");
        let mut received = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match server.read(&mut buffer).await.unwrap() {
                0 => break,
                count => {
                    assert!(buffer[..count].iter().all(|byte| *byte == 7));
                    received += count;
                }
            }
        }
        assert_eq!(received, flood.await.unwrap());
        server.shutdown().await.unwrap();
        assert_eq!(proxy.await.unwrap().unwrap(), (received as u64, 4000));
    });
}

#[test]
fn reset_ends_both_directions() {
    run(async {
        let (client, mut server, proxy) = proxied().await;
        server.write_all(b"x").await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
        let error = proxy.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        // The streams went with the task.
        let mut rest = [0; 16];
        while !matches!(server.read(&mut rest).await, Ok(0) | Err(_)) {}
    });
}

/// Always ready: brings zeros and takes everything. Spends no budget.
struct Endless(Arc<AtomicBool>);

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // Relaxed: the flag publishes nothing.
        Poll::Ready(Ok(if self.0.load(Ordering::Relaxed) { 0 } else { buffer.len() }))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Failure: a copy between streams that are always ready keeps its worker, or one of its directions
/// has no turn.
#[test]
fn copy_yields_and_both_directions_have_a_turn() {
    let runtime = Builder::new().workers(1).ignore_environment().start().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (mut a, mut b) = (Endless(Arc::clone(&over)), Endless(Arc::clone(&over)));
    let copied = runtime.spawn(async move { copy_bidirectional(&mut a, &mut b).await });
    // Has a turn on the same worker, several times.
    let ended = runtime.spawn(async move {
        for _ in 0..10 {
            heist_scheduler::yield_now().await;
        }
        over.store(true, Ordering::Relaxed);
    });
    let (there, back) = runtime.block_on(guarded(async move {
        ended.await.unwrap();
        copied.await.unwrap().unwrap()
    }));
    assert!(there > 0 && back > 0, "{there} {back}");
}

#[test]
fn copy_flushes_and_leaves_its_writer_open() {
    run(async {
        let ((mut near, mut far), (mut front, mut back)) = (pair().await, pair().await);
        near.write_all(b"one").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(copy(&mut far, &mut front).await.unwrap(), 3);
        front.write_all(b"two").await.unwrap();
        drop(front);
        assert_eq!(back.read_to_end_limited(100).await.unwrap(), b"onetwo");
    });
}
