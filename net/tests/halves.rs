//! What a stream and its halves can do beside reading and writing.

mod common;

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{blocking_pair, pair, run};
use heist_net::{ReuniteError, TcpListener, TcpStream, UnixListener, UnixStream};
use heist_reactor::Direction;
use heist_scheduler::{spawn, yield_now};
use socket2::{Domain, SockRef, Socket, Type};

fn is_pending<T>(future: impl Future<Output = T>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(pin!(future).poll(&mut cx), Poll::Pending)
}

/// Failure: a half cannot say whom it talks to, and its socket takes no option.
#[test]
fn halves_have_addresses_and_options() {
    run(async {
        let (mut near, far) = pair().await;
        let (own, peer) = (near.local_addr().unwrap(), far.local_addr().unwrap());
        {
            let (reader, writer) = near.split_mut();
            assert_eq!((reader.local_addr().unwrap(), writer.peer_addr().unwrap()), (own, peer));
        }
        let (reader, writer) = near.into_split();
        assert_eq!((reader.local_addr().unwrap(), reader.peer_addr().unwrap()), (own, peer));
        assert_eq!((writer.local_addr().unwrap(), writer.peer_addr().unwrap()), (own, peer));
        SockRef::from(&writer).set_keepalive(true).unwrap();
        assert!(SockRef::from(&reader).keepalive().unwrap());

        let (reader, _) = UnixStream::pair().unwrap().0.into_split();
        assert!(reader.peer_addr().unwrap().is_unnamed());
    });
}

#[test]
fn halves_are_reunited_with_each_other_alone() {
    run(async {
        let ((near, mut far), (other, mut others)) = (pair().await, pair().await);
        let ((reader, mut writer), (other_reader, other_writer)) =
            (near.into_split(), other.into_split());
        writer.write_all(b"one").await.unwrap();
        let ReuniteError(reader, other_writer) = reader.reunite(other_writer).unwrap_err();
        let mut near = writer.reunite(reader).unwrap();
        near.write_all(b"two").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(far.read_to_end_limited(100).await.unwrap(), b"onetwo");

        // The halves that came back are whole.
        let mut other = other_reader.reunite(other_writer).unwrap();
        other.write_all(b"three").await.unwrap();
        drop(other);
        assert_eq!(others.read_to_end_limited(100).await.unwrap(), b"three");
    });
}

#[test]
fn forgotten_half_does_not_end_its_direction() {
    run(async {
        let (near, mut far) = pair().await;
        let (mut reader, writer) = near.into_split();
        writer.forget();
        far.write_all(b"x").await.unwrap();
        reader.read_exact(&mut [0; 1]).await.unwrap();
        // The end would have come before that byte was answered, and would be here by now.
        let error = far.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(reader);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

/// Failure: a new stream is called readable though nothing was sent.
#[test]
fn stream_is_readable_when_bytes_are_there() {
    run(async {
        let (near, mut far) = pair().await;
        assert!(is_pending(near.readable()));
        assert!(is_pending(near.peek(&mut [0; 1])));
        let near = Arc::new(near);
        let waiting = [(); 3].map(|()| {
            let near = Arc::clone(&near);
            spawn(async move { near.readable().await })
        });
        far.write_all(b"hello").await.unwrap();
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        let mut buffer = [0; 8];
        assert_eq!(near.peek(&mut buffer).await.unwrap(), 5);
        assert_eq!(near.try_read(&mut buffer).unwrap(), 5);
        assert_eq!(near.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(is_pending(near.readable()));
        drop(far);
        near.readable().await.unwrap();
        assert_eq!(near.try_read(&mut buffer).unwrap(), 0);
    });
}

/// Failure: a wait for readiness takes the error of the socket, and the read after it finds an orderly
/// end instead.
#[test]
fn readiness_leaves_a_reset_to_the_read() {
    run(async {
        let (near, far) = pair().await;
        far.set_zero_linger().unwrap();
        drop(far);
        near.readable().await.unwrap();
        near.writable().await.unwrap();
        let error = near.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

/// Failure: a socket that still connects is called writable, which by custom means that it has an
/// outcome.
#[test]
fn connecting_stream_is_not_writable() {
    run(async {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
            let _ = socket.connect(&address);
            TcpStream::from_std(socket.into()).unwrap()
        };
        // It fills the backlog, so that the next one gets no answer.
        let first = connecting();
        first.writable().await.unwrap();
        assert_eq!(first.peer_addr().unwrap(), address.as_socket().unwrap());
        let second = connecting();
        assert!(is_pending(second.writable()));
        assert!(is_pending(second.readable()));
    });
}

/// Failure: a program that tries and never waits is told for ever that there is nothing.
#[test]
fn try_read_finds_bytes_that_no_event_has_told_of() {
    run(async {
        let (near, mut far) = pair().await;
        assert_eq!(near.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.write_all(b"x").await.unwrap();
        let mut byte = [0];
        loop {
            match near.try_read(&mut byte) {
                Ok(count) => break assert_eq!((count, &byte), (1, b"x")),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            yield_now().await;
        }
    });
}

#[test]
fn full_stream_is_writable_when_there_is_room() {
    run(async {
        let (near, mut far) = pair().await;
        let mut sent = 0;
        let error = loop {
            match near.try_write(&[0; 1 << 16]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(is_pending(near.writable()));
        let emptied = spawn(async move {
            let mut buffer = vec![0; sent];
            far.read_exact(&mut buffer).await.map(|_| far)
        });
        near.writable().await.unwrap();
        let _far = emptied.await.unwrap().unwrap();
        near.try_io(Direction::Write, || SockRef::from(&near).send(b"x")).unwrap();
    });
}

#[test]
fn streams_and_listeners_go_to_the_standard_library() {
    run(async {
        let (near, mut far) = blocking_pair().await;
        // The drop of the stream must not take this back.
        SockRef::from(&near).set_linger(Some(Duration::from_secs(7))).unwrap();
        let mut near = near.into_std().unwrap();
        assert_eq!(SockRef::from(&near).linger().unwrap(), Some(Duration::from_secs(7)));
        assert_eq!(near.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        near.set_nonblocking(false).unwrap();
        near.write_all(b"hi").unwrap();
        let mut greeting = [0; 2];
        far.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"hi");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _client = TcpStream::connect(address).await.unwrap();
        let listener = listener.into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        listener.accept().unwrap();

        let (near, far) = UnixStream::pair().unwrap();
        near.into_std().unwrap().write_all(b"x").unwrap();
        far.readable().await.unwrap();
        let path = tempfile_path();
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(listener.into_std().unwrap().local_addr().unwrap().as_pathname().is_some());
    });
}

fn tempfile_path() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("heist-halves-{}", std::process::id()))
}

#[test]
fn options_of_a_stream_are_read_back() {
    run(async {
        let (near, _far) = pair().await;
        near.set_ttl(17).unwrap();
        assert_eq!(near.ttl().unwrap(), 17);
        assert!(near.take_error().unwrap().is_none());
        #[cfg(target_os = "linux")]
        {
            near.set_quickack(false).unwrap();
            assert!(!near.quickack().unwrap());
        }
    });
}
