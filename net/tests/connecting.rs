//! Connecting by name, and reading all that a peer has to say.

mod common;

use std::io::{ErrorKind, Write};

use common::{blocking_pair, run};
use heist_net::{ConnectError, Target, TcpListener, TcpStream, TooLong, resolve};

/// Failure: a name that stands for `::1` and `127.0.0.1` is given up at the first that refuses.
#[test]
fn name_with_an_address_that_refuses_is_connected_to() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let text = format!("localhost:{}", address.port());
        for target in [Target::from(text), Target::from(("localhost", address.port()))] {
            let stream = TcpStream::connect_to(target).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
        }
        assert!(resolve(("localhost", 80)).await.unwrap().contains(&([127, 0, 0, 1], 80).into()));
    });
}

#[test]
fn refusal_says_what_was_tried() {
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = TcpStream::connect_to(address.to_string()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let Some(ConnectError::NotConnected { attempts, .. }) = inner(&error) else {
            panic!("{error:?}")
        };
        assert_eq!(attempts.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [address]);
    });
}

#[test]
fn target_without_a_port_is_refused_by_name() {
    run(async {
        let error = TcpStream::connect_to("localhost").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(matches!(inner(&error), Some(ConnectError::NotFound { .. })), "{error:?}");
        assert!(error.to_string().starts_with("cannot find the address of localhost: "), "{error}");
    });
}

fn inner<T: std::error::Error + 'static>(error: &std::io::Error) -> Option<&T> {
    error.get_ref()?.downcast_ref()
}

/// Failure: an end exactly at the limit is taken for more, or more than the limit for an end.
#[test]
fn reading_to_the_end_stops_above_the_limit() {
    // Around the length of the first buffer, and where it has grown.
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
        // The peer may be told that nobody reads on.
        let sending = std::thread::spawn(move || drop(far.write_all(&sent)));
        let read = near.read_to_end(limit).await;
        drop(near);
        sending.join().unwrap();
        read
    })
}
