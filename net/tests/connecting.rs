//! Connecting by name, and reading until the peer finishes sending.

mod common;
#[path = "common/refusing.rs"]
mod refusing;

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Write};
use std::net::ToSocketAddrs;
use std::task::Poll;
use std::time::Duration;

use common::{blocking_pair, guarded, run};
use heist_net::{Builder, ConnectError, Target, TcpListener, TcpStream, TooLong, resolve};
use heist_scheduler::{Handle, TaskBuilder};
use refusing::refusing_address;

/// Failure: a name with the addresses `::1` and `127.0.0.1` is given up when the first one refuses.
#[test]
fn name_with_an_address_that_refuses_is_connected_to() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let text = format!("localhost:{}", address.port());
        for target in [Target::from(text), Target::from(("localhost", address.port()))] {
            let stream = TcpStream::connect(target).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
        }
        assert!(resolve(("localhost", 80)).await.unwrap().contains(&([127, 0, 0, 1], 80).into()));
    });
}

/// Failure: a listener takes an address alone, and not the name that a stream takes.
#[test]
fn listener_takes_names_and_several_addresses() {
    run(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback());

        let taken = listener.local_addr().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        let second = TcpListener::bind(&[taken, free][..]).await.unwrap();
        assert_ne!(second.local_addr().unwrap(), taken);
        let error = TcpListener::bind([taken, taken]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);

        let error = TcpListener::bind(Vec::new()).await.unwrap_err();
        assert!(matches!(inner(&error), Some(ConnectError::NotFound { .. })), "{error:?}");
        let error = TcpListener::bind("localhost").await.unwrap_err();
        assert!(matches!(inner(&error), Some(ConnectError::NotFound { .. })), "{error:?}");
    });
}

#[test]
fn several_addresses_are_tried_in_turn() {
    run(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(vec![refusing_address(), address]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    });
}

#[test]
fn refusal_says_what_was_tried() {
    run(async {
        let address = refusing_address();
        let error = TcpStream::connect(address.to_string()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let Some(ConnectError::NotConnected { attempts, .. }) = inner(&error) else {
            panic!("{error:?}")
        };
        assert_eq!(attempts.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [address]);
    });
}

/// Failure: a caller that looks for the system's code finds none, as of a lack of descriptors.
#[test]
fn error_of_a_socket_addr_is_that_of_the_system() {
    run(async {
        let error = TcpStream::connect(refusing_address()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.raw_os_error().is_some(), "{error:?}");
    });
}

/// Failure: each connection needs a time-out around it, which does not report the addresses.
#[test]
fn time_that_is_up_is_an_error_that_names_the_addresses() {
    run(async {
        let target = Target::from("127.0.0.1:9");
        let error = TcpStream::connect_timeout(target, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let expected = "cannot connect to 127.0.0.1:9: 127.0.0.1:9: the time was up before";
        assert!(error.to_string().starts_with(expected), "{error}");
    });
}

/// Failure: an address in brackets, or with a zone, is looked up as a name.
#[test]
fn addresses_in_brackets_and_with_zones_are_found() {
    run(async {
        assert_eq!(resolve(("[::1]", 80)).await.unwrap(), ["[::1]:80".parse().unwrap()]);
        // If the system knows the zone.
        let Ok(known) = ("fe80::1%lo", 80).to_socket_addrs() else { return };
        let known: Vec<_> = known.collect();
        assert_eq!(resolve(("fe80::1%lo", 80)).await.unwrap(), known);
        assert_eq!(resolve(("[fe80::1%lo]", 80)).await.unwrap(), known);
        assert_eq!(resolve("[fe80::1%lo]:80").await.unwrap(), known);
    });
}

#[test]
fn target_without_a_port_is_refused_by_name() {
    run(async {
        let error = TcpStream::connect("localhost").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(matches!(inner(&error), Some(ConnectError::NotFound { .. })), "{error:?}");
        assert!(error.to_string().starts_with("cannot find the address of localhost: "), "{error}");
    });
}

/// Failure: abandoned look-ups stayed in the queue of all blocking work until a thread took each of
/// them: they filled it, and all other blocking work was refused.
#[test]
fn lookups_that_are_given_up_leave_their_queue() {
    let builder = Builder::new().workers(2).blocking_threads(1).blocking_queue(1);
    let runtime = builder.lookup_threads(1).lookup_queue(8).start().unwrap();
    let (inside, entered) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    runtime.block_on(guarded(async {
        let running = TaskBuilder::new().spawn_lookup(move || {
            inside.send(()).unwrap();
            let _ = released.recv_timeout(common::GUARD);
        });
        entered.recv_timeout(common::GUARD).unwrap();
        let depth = || Handle::current().metrics().lookup_queue_depth;
        for _ in 0..100 {
            let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(resolve("localhost:80"))).collect();
            let mut connecting: Vec<_> =
                (0..4).map(|_| Box::pin(TcpStream::connect("localhost:80"))).collect();
            poll_fn(|cx| {
                waiting.iter_mut().for_each(|it| assert!(it.as_mut().poll(cx).is_pending()));
                connecting.iter_mut().for_each(|it| assert!(it.as_mut().poll(cx).is_pending()));
                Poll::Ready(())
            })
            .await;
            assert_eq!(depth(), 8);
            let error = resolve("localhost:80").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
            assert!(error.to_string().contains("the bound of 8 is reached"), "{error}");
            drop(waiting);
            assert_eq!(depth(), 4);
            drop(connecting);
            assert_eq!(depth(), 0);
        }
        assert_eq!(heist_scheduler::spawn_blocking(|| 1).await.unwrap(), 1);
        let resolved = heist_scheduler::spawn(resolve("localhost:80"));
        drop(release);
        running.await.unwrap();
        assert!(!resolved.await.unwrap().unwrap().is_empty());
    }));
}

fn inner<T: std::error::Error + 'static>(error: &std::io::Error) -> Option<&T> {
    error.get_ref()?.downcast_ref()
}

/// Failure: an end exactly at the limit is mistaken for more bytes, or more bytes for an end.
#[test]
fn reading_to_the_end_stops_above_the_limit() {
    // Around the length of the first buffer, and after it has grown.
    for length in [0, 1, 4095, 4096, 4097, 100_000] {
        let sent: Vec<u8> = (0..length).map(|number| number as u8).collect();
        for limit in [length, length + 1, usize::MAX] {
            assert_eq!(read_to_end(&sent, limit).unwrap(), sent);
        }
        if let Some(limit) = length.checked_sub(1) {
            let error = read_to_end(&sent, limit).unwrap_err();
            assert_eq!(inner(&error), Some(&TooLong { limit }));
        }
    }
}

fn read_to_end(sent: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    run(async {
        let (mut near, mut far) = blocking_pair().await;
        let sent = sent.to_vec();
        // The peer may get an error, because the reader has left.
        let sending = std::thread::spawn(move || drop(far.write_all(&sent)));
        let read = near.read_to_end_limited(limit).await;
        drop(near);
        sending.join().unwrap();
        read
    })
}
