//! The sockets of the operating system and the calls on them. Outside of `socket` nothing in the crate
//! makes or touches one; inside, `bound_listener` and `socket_file` prepare those that listen.
//!
//! A socket here must
//!
//! 1. return at once from every call: `WouldBlock` where it would have waited, `Interrupted` where a
//!    signal came first;
//! 2. report a write to a peer that has gone as an error, never as a signal;
//! 3. have `SO_OOBINLINE` set if it is TCP, because a byte of urgent data would otherwise end a read
//!    early and strand the bytes behind it (the short-read rule depends on this), and `TCP_NODELAY`,
//!    because the callers batch;
//! 4. be closed without waiting, whatever `SO_LINGER` says;
//! 5. be set up once if it listens: on Linux an accepted socket inherits both options, so accepting
//!    costs one system call.
//!
//! A further kind of socket (a simulated one) becomes a variant here and changes nothing outside.

mod listener;
mod options;
mod ready;
mod stream;
mod unix_address;

pub(crate) use self::listener::{
    Accept, BACKLOG, Listener, TcpListener, UnixListener, bind_unix, has_pending_connection,
};
pub(crate) use self::options::set_tcp_options;
pub(crate) use self::ready::{events_now, readable, writable};
pub(crate) use self::stream::Stream;
pub(crate) use self::unix_address::{abstract_address, unix_address};
