//! Reads and writes of several buffers, and writes to a peer that has gone.

mod common;

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::{blocking_pair, run};
use futures_io::AsyncWrite;
use heist_net::protocol::{self, Context, Protocol};
use heist_net::{Connection, Socket, UnixStream};
use signal_hook::consts::SIGPIPE;
use socket2::SockRef;

/// The variable that gives a child process the way to write.
const WAY: &str = "HEIST_TEST_WAY_TO_WRITE";

const WAYS: [&str; 9] = [
    "write",
    "vectored",
    "borrowed half",
    "owned half",
    "futures-io",
    "futures-io half",
    "hyper",
    "protocol finish",
    "protocol close",
];

/// Failure: a vectored write to a peer that has gone raises SIGPIPE, which ends a process that
/// restored its default action.
#[test]
fn no_write_to_a_peer_that_has_gone_raises_a_signal() {
    if let Ok(way) = std::env::var(WAY) {
        let default = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(SIGPIPE, default).unwrap();
        return write_after_the_end(&way);
    }
    for way in WAYS {
        let test = "no_write_to_a_peer_that_has_gone_raises_a_signal";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args([test, "--exact"]).env(WAY, way).output().unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{way}: {}: {said}", child.status);
    }
}

fn write_after_the_end(way: &str) {
    run(async {
        let (unix, far) = UnixStream::pair().unwrap();
        drop(far);
        write_by(way, unix).await;

        let (mut tcp, far) = blocking_pair().await;
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        // The first operation after a reset returns its error. The next ones would raise the
        // signal.
        assert_eq!(tcp.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        write_by(way, tcp).await;
    });
}

async fn write_by<F>(way: &str, mut stream: Socket<F>)
where
    heist_net::Stream: From<Socket<F>>,
    F: Unpin,
{
    let two = [IoSlice::new(b"a"), IoSlice::new(b"b")];
    let error = match way {
        "write" => stream.write(b"ab").await,
        "vectored" => stream.write_vectored(&two).await,
        "borrowed half" => stream.split_mut().1.write_vectored(&two).await,
        "owned half" => stream.into_split().1.write_vectored(&two).await,
        "futures-io" => {
            written(|cx| AsyncWrite::poll_write_vectored(Pin::new(&mut stream), cx, &two)).await
        }
        "futures-io half" => {
            let (_, mut half) = stream.into_split();
            written(|cx| AsyncWrite::poll_write_vectored(Pin::new(&mut half), cx, &two)).await
        }
        "hyper" => {
            use hyper::rt::Write;
            written(|cx| Write::poll_write_vectored(Pin::new(&mut stream), cx, &two)).await
        }
        "protocol finish" | "protocol close" => {
            let finish = way == "protocol finish";
            let stream = heist_net::Stream::from(stream);
            // It ends in order or with the error; the process must go on.
            let _ = Connection::new(stream, Says { finish }).await;
            return;
        }
        _ => panic!("no such way to write: {way}"),
    };
    assert_eq!(error.unwrap_err().kind(), ErrorKind::BrokenPipe, "{way}");
}

fn written<P>(poll: P) -> impl Future<Output = io::Result<usize>>
where
    P: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<io::Result<usize>>,
{
    poll_fn(poll)
}

/// Sends a few bytes and ends.
struct Says {
    finish: bool,
}

impl Protocol for Says {
    type Message = std::convert::Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        cx.write(b"word");
        match self.finish {
            true => cx.finish(),
            false => cx.close(),
        }
    }

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }
}

/// The number of empty buffers before, between and after two that are not empty.
const CROWDS: [usize; 7] = [0, 1, 1022, 1023, 1024, 1025, 5000];

/// Failure: a write with 1,024 empty buffers in front is mistaken for a socket that accepts
/// nothing.
#[test]
fn empty_buffers_do_not_hide_those_behind_them_from_a_write() {
    run(async {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        for empty in CROWDS {
            let crowd = || std::iter::repeat_n(IoSlice::new(b""), empty);
            let full = |bytes| std::iter::once(IoSlice::new(bytes));
            let all = crowd().chain(full(b"hel")).chain(crowd()).chain(full(b"lo")).chain(crowd());
            let all: Vec<_> = all.collect();
            assert_eq!(near.write_vectored(&all).await.unwrap(), 5, "{empty} empty buffers");
            let mut word = [0; 5];
            far.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"hello");
            let none: Vec<_> = crowd().collect();
            assert_eq!(near.write_vectored(&none).await.unwrap(), 0, "nothing was to be written");
        }
    });
}

/// Failure: a read with 1,024 empty buffers in front is mistaken for the end of the stream.
#[test]
fn empty_buffers_do_not_hide_those_behind_them_from_a_read() {
    run(async {
        let (mut near, mut far) = blocking_pair().await;
        for empty in CROWDS {
            let mut room = [0; 5];
            let (front, back) = room.split_at_mut(3);
            let [mut before, mut between, mut behind] = [const { Vec::<[u8; 0]>::new() }; 3];
            for crowd in [&mut before, &mut between, &mut behind] {
                crowd.resize(empty, []);
            }
            let mut all: Vec<IoSliceMut<'_>> = Vec::new();
            all.extend(before.iter_mut().map(|none| IoSliceMut::new(none)));
            all.push(IoSliceMut::new(front));
            all.extend(between.iter_mut().map(|none| IoSliceMut::new(none)));
            all.push(IoSliceMut::new(back));
            all.extend(behind.iter_mut().map(|none| IoSliceMut::new(none)));
            far.write_all(b"hello").unwrap();
            let read = poll_fn(|cx| near.poll_read_vectored(cx, &mut all)).await.unwrap();
            assert_eq!(read, 5, "{empty} empty buffers");
            assert_eq!(&room, b"hello");

            let mut none: Vec<_> = before.iter_mut().map(|none| IoSliceMut::new(none)).collect();
            let read = poll_fn(|cx| near.poll_read_vectored(cx, &mut none)).await.unwrap();
            assert_eq!(read, 0, "nothing was to be read");
        }
    });
}

/// Failure: a read into more buffers than one system call takes is mistaken for a short read, and
/// the bytes behind are never read.
#[test]
fn read_that_fills_all_buffers_of_a_call_does_not_count_as_short() {
    run(async {
        let (mut near, mut far) = blocking_pair().await;
        let sent: Vec<u8> = (0..5000_u32).map(|number| number as u8).collect();
        far.write_all(&sent).unwrap();
        let mut got: Vec<u8> = Vec::new();
        while got.len() < sent.len() {
            let mut room = vec![[0_u8; 1]; 5000];
            let mut all: Vec<_> = room.iter_mut().map(|one| IoSliceMut::new(one)).collect();
            let count = poll_fn(|cx| near.poll_read_vectored(cx, &mut all)).await.unwrap();
            got.extend(room[..count].iter().map(|[byte]| byte));
        }
        assert_eq!(got, sent);
    });
}

/// Failure: buffers beyond the limit of one system call are lost or sent out of order.
#[test]
fn more_buffers_than_a_call_takes_are_written_in_order() {
    run(async {
        let (mut near, mut far) = blocking_pair().await;
        let words: Vec<[u8; 4]> = (0..5000_u32).map(u32::to_le_bytes).collect();
        let slices: Vec<_> = words.iter().map(|word| IoSlice::new(word)).collect();
        let mut sent = 0;
        while sent < slices.len() {
            let count = near.write_vectored(&slices[sent..]).await.unwrap();
            assert_eq!(count % 4, 0, "20 kB fit a socket that is read from");
            sent += count / 4;
        }
        let mut got = vec![0; 20_000];
        far.read_exact(&mut got).unwrap();
        assert_eq!(got, words.concat());
    });
}
