//! Sockets before they connect or listen.

mod common;
#[path = "common/refusing.rs"]
mod refusing;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use common::run;
use heist_net::{TcpListener, TcpSocket};
use heist_scheduler::time;
use refusing::refusing_address;
use socket2::{Domain, SockRef, Socket, Type};

fn local(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// Failure: a client cannot choose the address that it connects from.
#[test]
fn source_address_is_chosen() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Linux has all of 127.0.0.0/8.
        let source = if cfg!(target_os = "linux") { "127.0.0.5:0" } else { "127.0.0.1:0" };
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(local(source)).unwrap();
        let bound = socket.local_addr().unwrap();
        let mut stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut accepted, peer) = listener.accept().await.unwrap();
        assert_eq!((peer, peer.ip()), (bound, local(source).ip()));
        stream.write_all(b"hi").await.unwrap();
        accepted.read_exact(&mut [0; 2]).await.unwrap();

        let taken = TcpSocket::new_v4().unwrap();
        let error = taken.bind(listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn options_set_before_hold_after() {
    run(async {
        let listener = TcpSocket::new_v4().unwrap();
        listener.set_nodelay(false).unwrap();
        listener.set_reuseaddr(true).unwrap();
        listener.set_reuseport(true).unwrap();
        listener.bind(local("127.0.0.1:0")).unwrap();
        let second = TcpSocket::new_v4().unwrap();
        second.set_reuseport(true).unwrap();
        second.bind(listener.local_addr().unwrap()).unwrap();
        assert!(listener.reuseport().unwrap() && listener.reuseaddr().unwrap());
        let listener = listener.listen(16).unwrap();

        let socket = TcpSocket::new_v4().unwrap();
        assert!(socket.nodelay().unwrap());
        socket.set_nodelay(false).unwrap();
        socket.set_keepalive(true).unwrap();
        socket.set_zero_linger().unwrap();
        socket.set_send_buffer_size(40_000).unwrap();
        socket.set_recv_buffer_size(50_000).unwrap();
        socket.set_tos_v4(0x10).unwrap();
        let sizes = (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap());
        let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let options = SockRef::from(&stream);
        assert!(!stream.nodelay().unwrap() && options.keepalive().unwrap());
        assert_eq!(options.linger().unwrap(), Some(Duration::ZERO));
        assert_eq!(options.tos_v4().unwrap(), 0x10);
        let kept = (
            options.send_buffer_size().unwrap() as u32,
            options.recv_buffer_size().unwrap() as u32,
        );
        assert_eq!(kept, sizes);
        let (accepted, _) = listener.accept().await.unwrap();
        assert!(!accepted.nodelay().unwrap(), "what the listener was set to is inherited");
    });
}

/// A socket that was made elsewhere and began to connect to `address`.
fn connecting(address: SocketAddr) -> TcpSocket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
    let _under_way = socket.connect(&address.into());
    TcpSocket::from_std_stream(socket.into()).unwrap()
}

#[test]
fn connect_under_way_is_taken_over() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = connecting(listener.local_addr().unwrap()).connected().await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        stream.write_all(b"hi").await.unwrap();
        accepted.read_exact(&mut [0; 2]).await.unwrap();

        let error = connecting(refusing_address()).connected().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn refusal_and_silence_are_told_apart() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        let error = socket.connect(refusing_address()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        // Its backlog takes one connection, and the next ones get no answer.
        let listener = TcpSocket::new_v4().unwrap();
        listener.bind(local("127.0.0.1:0")).unwrap();
        let listener = listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut taken = Vec::new();
        loop {
            let socket = TcpSocket::new_v4().unwrap();
            let limit = Duration::from_millis(100);
            match time::timeout(limit, socket.connect(address)).await {
                Ok(stream) => taken.push(stream.unwrap()),
                Err(_) => break,
            }
        }
        // Taken over, it is no more connected than that.
        let silent = connecting(address).connected();
        assert!(time::timeout(Duration::from_millis(10), silent).await.is_err());
    });
}

/// Failure: a socket that never began to connect is waited for without end.
#[cfg(target_os = "linux")]
#[test]
fn socket_that_does_not_connect_is_an_error() {
    run(async {
        let error = TcpSocket::new_v4().unwrap().connected().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    });
}
