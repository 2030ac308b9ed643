//! The families of sockets, as the types that tell them apart.

use std::fmt::Debug;
use std::os::unix;

use crate::socket::sys;

/// TCP; see [`TcpStream`](crate::TcpStream) and [`TcpListener`](crate::TcpListener).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tcp {}

/// Unix sockets; see [`UnixStream`](crate::UnixStream) and [`UnixListener`](crate::UnixListener).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unix {}

/// Any of them; see [`Stream`](crate::Stream).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Any {}

/// A family that one can listen in: [`Tcp`] or [`Unix`].
pub trait Family: Sealed {
    /// What its addresses are.
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

/// The families are these.
pub trait Sealed {}

impl Sealed for Tcp {}
impl Sealed for Unix {}
