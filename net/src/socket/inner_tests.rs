//! Sockets before and behind their connection: options, sizes, what counts as connected.

use super::*;
use crate::socket::sys::Accept;

#[test]
fn write_of_nothing_is_an_error_and_no_endless_loop() {
    assert_eq!(nonzero(0).unwrap_err().kind(), io::ErrorKind::WriteZero);
    assert_eq!(nonzero(3).unwrap(), 3);
}

#[test]
fn stream_is_small_enough_for_an_idle_connection() {
    // In debug builds mio adds to each socket.
    let debug = size_of::<sys::Stream>() - 8;
    assert!(size_of::<SocketInner>() <= 48 + debug, "{}", size_of::<SocketInner>());
    assert_eq!(size_of::<crate::TcpStream>(), size_of::<SocketInner>());
    assert_eq!(size_of::<crate::Stream>(), size_of::<SocketInner>());
}

#[test]
fn writable_without_a_peer_is_not_taken_for_connected() {
    let runtime = crate::Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    runtime.block_on(async {
        // A socket that has not begun to connect reports itself writable at once.
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM.nonblocking(), None)
                .unwrap();
        let socket = sys::Stream::from_std_tcp(socket.into()).unwrap();
        let stream = SocketInner::register(socket, Interest::ReadWrite).unwrap();
        poll_fn(|cx| stream.source.poll_ready(Direction::Write, cx)).await.unwrap();
        let outcome = poll_fn(|cx| Poll::Ready(stream.poll_connected(cx))).await;
        assert!(outcome.is_pending(), "{outcome:?}");

        let _ = stream.socket().options().connect(&address.into());
        poll_fn(|cx| stream.poll_connected(cx)).await.unwrap();
        assert_eq!(stream.socket().tcp_peer().unwrap(), address);
    });
}

#[test]
fn accepted_socket_inherits_the_options_of_its_listener() {
    let listener = sys::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = std::net::TcpStream::connect(listener.local().unwrap()).unwrap();
    let (accepted, peer) = loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            outcome => break outcome.unwrap(),
        }
    };
    assert_eq!(peer, client.local_addr().unwrap());
    assert!(accepted.options().out_of_band_inline().unwrap());
    assert!(accepted.options().tcp_nodelay().unwrap());
}
