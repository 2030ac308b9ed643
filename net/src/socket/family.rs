//! The families of sockets, as type parameters.

use std::fmt::Debug;
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
}

impl Family for Tcp {
    type Address = std::net::SocketAddr;
    type Listener = sys::TcpListener;
}

impl Family for Unix {
    type Address = unix::net::SocketAddr;
    type Listener = sys::UnixListener;
}

/// Keeps other crates from adding families.
pub trait Sealed {}

impl Sealed for Tcp {}
impl Sealed for Unix {}
