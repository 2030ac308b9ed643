//! The families of sockets, as type parameters.

use std::fmt::Debug;
use std::io;
use std::os::unix;

use crate::socket::sys;

/// TCP; see [`TcpStream`](crate::TcpStream) and [`TcpListener`](crate::TcpListener).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tcp {}

/// Unix sockets; see [`UnixStream`](crate::UnixStream) and [`UnixListener`](crate::UnixListener).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unix {}

/// Any family; see [`Stream`](crate::Stream).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Any {}

/// A family with listeners: [`Tcp`] or [`Unix`].
pub trait Family: Sealed {
    /// Its addresses.
    type Address: Debug;

    /// The system's socket.
    #[doc(hidden)]
    type Listener: sys::Accept<Address = Self::Address>;

    /// The address of the peer of a stream of this family.
    #[doc(hidden)]
    fn peer(stream: &sys::Stream) -> io::Result<Self::Address>;

    /// The address of this end of a stream of this family.
    #[doc(hidden)]
    fn local(stream: &sys::Stream) -> io::Result<Self::Address>;
}

impl Family for Tcp {
    type Address = std::net::SocketAddr;
    type Listener = sys::TcpListener;

    fn peer(stream: &sys::Stream) -> io::Result<Self::Address> {
        stream.tcp_peer()
    }

    fn local(stream: &sys::Stream) -> io::Result<Self::Address> {
        stream.tcp_local()
    }
}

impl Family for Unix {
    type Address = unix::net::SocketAddr;
    type Listener = sys::UnixListener;

    fn peer(stream: &sys::Stream) -> io::Result<Self::Address> {
        stream.unix_peer()
    }

    fn local(stream: &sys::Stream) -> io::Result<Self::Address> {
        stream.unix_local()
    }
}

/// Keeps other crates from adding families.
pub trait Sealed {}

impl Sealed for Tcp {}
impl Sealed for Unix {}
