//! The ends of connections: half-closed, closed, reset, and with bytes still on the way.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use common::{Wakes, drain_into, drive, fill, look, peek, pump, queue, swallow, tcp, unix};
use heist_reactor::{Direction, Interest, Kind, Queue, Source};
use socket2::SockRef;

/// Failure 10: the end of the peer's half is mistaken for a hang-up.
#[test]
fn half_closed_peer_does_not_make_a_blocked_writer_spin() {
    let queue = queue();
    let (near, far) = unix(&queue, Interest::ReadWrite);
    pump(&queue);
    let written = fill(&far);
    let (writes, writer) = Wakes::new();
    assert!(far.poll_drain(Direction::Write, &mut Context::from_waker(&writer)).is_pending());

    near.shutdown(Shutdown::Write).unwrap();
    pump(&queue);
    assert_eq!(far.io().read(&mut [0; 8]).unwrap(), 0);
    for _ in 0..100 {
        assert_eq!(look(&queue).events, 0);
        assert!(far.poll_drain(Direction::Write, &mut Context::from_waker(&writer)).is_pending());
    }
    assert_eq!(writes.count(), 0);

    assert_eq!(swallow(&near), written);
    pump(&queue);
    assert_eq!(writes.count(), 1);
    assert!(fill(&far) > 0);
}

/// Failure 11: data and the end come in one event, and one of them is lost.
#[test]
fn burst_and_end_in_one_event_lose_nothing() {
    let queue = queue();
    for length in (0..40).map(|k| k * 517) {
        let (mut near, far) = tcp();
        let far = queue.register(0, far, Interest::Read, Kind::Stream).unwrap();
        near.write_all(&vec![9; length]).unwrap();
        drop(near);
        assert_eq!(read_to_end(&queue, &far, 512).unwrap(), vec![9; length]);
    }
}

/// Failure 11, when the end comes at some moment during the drain.
#[test]
fn end_during_a_drain_is_not_lost_by_short_reads() {
    let queue = queue();
    for _ in 0..if cfg!(debug_assertions) { 300 } else { 10_000 } {
        let (mut near, far) = tcp();
        let far = queue.register(0, far, Interest::Read, Kind::Stream).unwrap();
        let peer = thread::spawn(move || {
            near.write_all(b"first").unwrap();
            near.write_all(b"second").unwrap();
        });
        assert_eq!(read_to_end(&queue, &far, 64).unwrap(), b"firstsecond");
        peer.join().unwrap();
    }
}

#[test]
fn end_is_read_again_and_again() {
    let queue = queue();
    let (near, far) = unix(&queue, Interest::Read);
    drop(near);
    for _ in 0..3 {
        let mut buffer = [0; 4];
        let read =
            drive(&queue, |cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut buffer)));
        assert_eq!(read.unwrap(), 0);
    }
}

/// Failure 12: a reset spins while no task reads.
#[test]
fn reset_is_reported_a_bounded_number_of_times() {
    let queue = queue();
    let (near, far) = tcp();
    let far = queue.register(0, far, Interest::Read, Kind::Stream).unwrap();
    SockRef::from(&near).set_linger(Some(Duration::ZERO)).unwrap();
    drop(near);
    let (reads, reader) = Wakes::new();
    if far.poll_drain(Direction::Read, &mut Context::from_waker(&reader)).is_pending() {
        pump(&queue);
        assert_eq!(reads.count(), 1);
    }
    let more: usize = (0..1_000).map(|_| look(&queue).events).sum();
    assert!(more <= 2, "{more} events after the reset");
    let mut buffer = [0; 4];
    let mut read = || peek(|cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut buffer)));
    let Poll::Ready(Err(error)) = read() else { panic!("the reset was not reported") };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Failure 12: sticky bits must not make a direction ready after `WouldBlock`.
#[test]
fn closed_source_that_would_block_does_not_spin() {
    let queue = queue();
    let (near, far) = unix(&queue, Interest::Read);
    drop(near);
    pump(&queue);
    let mut tries = 0;
    let read = peek(|cx| {
        far.poll_io(Direction::Read, cx, |_| -> io::Result<()> {
            tries += 1;
            Err(ErrorKind::WouldBlock.into())
        })
    });
    assert!(read.is_pending());
    assert_eq!(tries, 1);
}

/// Failure 13: readiness that is only an error hangs or spins.
#[test]
fn error_without_data_is_delivered_once() {
    let queue = queue();
    let closed_port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(closed_port).unwrap();
    let socket = queue.register(0, socket, Interest::Read, Kind::Other).unwrap();
    assert_eq!(socket.io().send(b"x").unwrap(), 1);

    let receive =
        |cx: &mut Context<'_>| socket.poll_io(Direction::Read, cx, |io| io.recv(&mut [0; 8]));
    let error = drive(&queue, receive).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(peek(receive).is_pending());
    assert_eq!(look(&queue).events, 0);
}

#[test]
fn pipe_whose_reader_left_wakes_its_writer() {
    let queue = queue();
    let (reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let writer = queue.register(0, writer, Interest::Write, Kind::Other).unwrap();
    drive(&queue, |cx| writer.poll_ready(Direction::Write, cx)).unwrap();
    fill(&writer);
    let (wakes, waker) = Wakes::new();
    assert!(writer.poll_ready(Direction::Write, &mut Context::from_waker(&waker)).is_pending());
    drop(reader);
    pump(&queue);
    assert_eq!(wakes.count(), 1);
    let write = peek(|cx| writer.poll_io(Direction::Write, cx, |mut io| io.write(b"x")));
    let Poll::Ready(Err(error)) = write else { panic!("{write:?}") };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

/// A byte of urgent data ends a read short; what follows it must not be stranded.
#[test]
fn urgent_data_in_line_strands_nothing() {
    urgent(true, b"abc!defg");
}

/// The same without SO_OOBINLINE, where the urgent byte itself is not among the bytes.
#[test]
fn urgent_data_out_of_line_strands_nothing() {
    urgent(false, b"abcdefg");
}

fn urgent(inline: bool, expected: &[u8]) {
    let queue = queue();
    let (mut near, far) = tcp();
    near.set_nodelay(true).unwrap();
    SockRef::from(&far).set_out_of_band_inline(inline).unwrap();
    let far = queue.register(0, far, Interest::Read, Kind::Stream).unwrap();
    near.write_all(b"abc").unwrap();
    SockRef::from(&near).send_out_of_band(b"!").unwrap();
    near.write_all(b"defg").unwrap();
    if inline {
        // All bytes are there before the first poll, so that no later edge hides a stranded byte.
        while rustix::io::ioctl_fionread(far.io()).unwrap() < expected.len() as u64 {
            thread::yield_now();
        }
    }
    let mut received = Vec::new();
    while received.len() < expected.len() {
        let drain = drive(&queue, |cx| far.poll_drain(Direction::Read, cx)).unwrap();
        assert!(!drain_into(&far, drain, 64, &mut received).unwrap());
        assert!(!inline || received == expected, "stranded behind {received:?}");
    }
    assert_eq!(received, expected);
}

#[test]
fn short_read_drains_a_healthy_stream_and_nothing_else() {
    let queue = queue();
    for (kind, trusted) in [(Kind::Stream, cfg!(target_os = "linux")), (Kind::Other, false)] {
        let (mut near, far) = tcp();
        let far = queue.register(0, far, Interest::Read, kind).unwrap();
        near.write_all(b"x").unwrap();
        pump(&queue);
        assert_eq!(far.try_drain(Direction::Read).unwrap().short_read_drains(), trusted);
        near.shutdown(Shutdown::Write).unwrap();
        pump(&queue);
        assert!(!far.try_drain(Direction::Read).unwrap().short_read_drains());
    }
}

fn read_to_end(queue: &Queue, source: &Source<TcpStream>, room: usize) -> io::Result<Vec<u8>> {
    let mut received = Vec::new();
    loop {
        let drain = drive(queue, |cx| source.poll_drain(Direction::Read, cx))?;
        if drain_into(source, drain, room, &mut received)? {
            return Ok(received);
        }
    }
}
