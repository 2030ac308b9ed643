//! Connections: their size and their buffers.

use std::future::poll_fn;
use std::mem;
use std::os::fd::AsFd;

use heist_reactor::{Interest, Kind};

use super::*;
use crate::protocol::{Context, Error};
use crate::runtime::driver;
use crate::{Runtime, UnixStream};

/// Answers each line, and counts how often it was given input.
#[derive(Default)]
struct Lines {
    calls: usize,
}

impl Protocol for Lines {
    type Message = std::convert::Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        self.calls += 1;
        let end = input.iter().position(|&byte| byte == b'\n');
        let length = end.map_or(0, |end| end + 1);
        cx.write(&input[..length]);
        Ok(length)
    }
}

#[test]
fn idle_connection_is_small() {
    // In debug builds mio adds to each socket.
    let debug = size_of::<crate::socket::sys::Stream>() - 8;
    let size = size_of::<Connection<Lines>>() - size_of::<Lines>();
    assert!(size <= 112 + debug, "{size}");
}

#[test]
fn idle_connection_owns_no_buffer() {
    Runtime::new().unwrap().block_on(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(near, Lines::default());
        assert!(kept_input(&connection).is_none());

        far.write_all(b"part of").await.unwrap();
        run_until(&mut connection, |connection| calls(connection) == 1).await;
        assert_eq!(kept_input(&connection), Some(&b"part of"[..]));

        far.write_all(b" a line\n").await.unwrap();
        run_until(&mut connection, |connection| calls(connection) == 2).await;
        assert!(kept_input(&connection).is_none());
        let mut answer = [0; 15];
        far.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"part of a line\n");
    });
}

/// Failure: what had been answered by then was dropped with it.
#[test]
fn connection_that_cannot_be_watched_ends_behind_its_answer() {
    // With one shard, which both registrations are for.
    let runtime = crate::Builder::new().ignore_environment().workers(1).start().unwrap();
    runtime.block_on(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        // Another registration of the same descriptor, which stays.
        mem::forget(driver::attach(near.as_fd(), Interest::Read, Kind::Other).unwrap());
        far.write_all(b"a line\n").await.unwrap();
        let closed = Connection::new(near, Lines::default()).await;
        assert!(matches!(closed, CloseReason::Lost(_)), "{closed:?}");
        assert_eq!(far.read_to_end_limited(100).await.unwrap(), b"a line\n");
    });
}

fn kept_input(connection: &Connection<Lines>) -> Option<&[u8]> {
    connection.engine.as_ref().unwrap().kept_input()
}

fn calls(connection: &Connection<Lines>) -> usize {
    connection.engine.as_ref().unwrap().protocol().calls
}

async fn run_until<P: Protocol>(
    connection: &mut Connection<P>,
    done: impl Fn(&Connection<P>) -> bool,
) {
    poll_fn(|cx| {
        assert!(Pin::new(&mut *connection).poll(cx).is_pending());
        if done(connection) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
