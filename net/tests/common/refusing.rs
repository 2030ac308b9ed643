//! An address that refuses every connection.

use std::net::SocketAddr;
use std::sync::LazyLock;

use socket2::{Domain, Socket, Type};

/// A socket that is bound and does not listen: no other one gets its port.
static BOUND: LazyLock<Socket> = LazyLock::new(|| {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket
});

pub(crate) fn refusing_address() -> SocketAddr {
    BOUND.local_addr().unwrap().as_socket().unwrap()
}
