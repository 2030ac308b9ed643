//! Protocols that pause their input, over real sockets.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use common::{Counted, run};
use heist_net::protocol::{self, CloseReason, Context, Limits, Protocol};
use heist_net::{Connection, UnixStream};
use heist_scheduler::spawn;
use heist_scheduler::time::{Instant, sleep};

/// Sends each line back; after the line "pause" it reads nothing until a message comes.
struct Pausing;

impl Protocol for Pausing {
    type Message = ();

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
        cx.write(&input[..=end]);
        if &input[..end] == b"pause" {
            cx.pause_reading(Instant::FAR_FUTURE);
        }
        Ok(end + 1)
    }

    fn message(&mut self, (): (), cx: &mut Context<'_>) {
        cx.write(b"resumed\n");
        cx.resume_reading();
    }

    fn input_closed(&mut self, _: &[u8], cx: &mut Context<'_>) {
        cx.close();
    }
}

/// Bytes that came before the pause, after it, or are still in the kernel.
#[test]
fn paused_input_waits_and_none_is_lost() {
    const LINES: usize = 200_000;
    let input = [b"a\npause\nb\npau".to_vec(), b"se\n".to_vec(), b"line\n".repeat(LINES)];
    let wanted = [b"a\npause\n", &b"resumed\nb\npause\n"[..], b"resumed\n"];
    run(async move {
        let (near, far) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(near, Pausing);
        let sender = connection.inbox();
        let connection = spawn(connection);
        let (mut answers, mut requests) = far.into_split();
        let writing = spawn(async move {
            for part in input {
                requests.write_all(&part).await.unwrap();
            }
        });
        for (round, wanted) in wanted.into_iter().enumerate() {
            if round > 0 {
                sender.send(()).await.unwrap();
            }
            let mut answer = vec![0; wanted.len()];
            answers.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer.escape_ascii().to_string(), wanted.escape_ascii().to_string());
        }
        // The end comes after all bytes.
        let rest = answers.read_to_end_limited(5 * LINES).await.unwrap();
        assert!(rest == b"line\n".repeat(LINES), "{} bytes", rest.len());
        writing.await.unwrap();
        let closed = connection.await.unwrap();
        assert!(matches!(closed, CloseReason::Finished), "{closed:?}");
    });
}

/// Failure: the connection had stopped reading for the pause, and no event could wake it.
#[test]
fn pause_that_ends_in_the_turn_that_began_it_loses_nothing() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"pause\n").await.unwrap();
        // No other timer wakes the connection.
        let limits = Limits { idle_timeout: Duration::MAX, ..Limits::default() };
        let mut connection = Connection::new(near, Pausing).limits(limits);
        // The first turn takes both the line and the message.
        connection.inbox().send(()).await.unwrap();
        let connection = spawn(connection);
        for line in [&b"pause\nresumed\n"[..], b"more\n", b"and more\n"] {
            let mut answer = vec![0; line.len()];
            far.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer.escape_ascii().to_string(), line.escape_ascii().to_string());
            match line {
                b"pause\nresumed\n" => far.write_all(b"more\n").await.unwrap(),
                b"more\n" => far.write_all(b"and more\n").await.unwrap(),
                _ => far.shutdown().await.unwrap(),
            }
        }
        connection.await.unwrap();
    });
}

/// Failure: each call of `resume_reading` restarted the time limits.
#[test]
fn resuming_without_a_pause_keeps_the_time_limits() {
    let limits = Limits { message_timeout: Duration::from_millis(50), ..Limits::default() };
    let closed = run(async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"part of a line").await.unwrap();
        let mut connection = Connection::new(near, Pausing).limits(limits);
        let sender = connection.inbox();
        let connection = spawn(connection);
        while sender.send(()).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
        connection.await.unwrap()
    });
    assert!(matches!(closed, CloseReason::HeaderTimeout), "{closed:?}");
}

/// The limits are far shorter than the pause.
#[test]
fn no_time_limit_of_the_input_runs_in_a_pause() {
    struct Once(bool);
    impl Protocol for Once {
        type Message = Infallible;

        fn received(
            &mut self,
            input: &[u8],
            cx: &mut Context<'_>,
        ) -> Result<usize, protocol::Error> {
            if !self.0 {
                self.0 = true;
                cx.pause_reading(cx.now() + Duration::from_millis(200));
                return Ok(0);
            }
            cx.write(input);
            cx.close();
            Ok(input.len())
        }
    }
    let brief = Duration::from_millis(1);
    let limits = Limits { idle_timeout: brief, message_timeout: brief, ..Limits::default() };
    let closed = run(async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"part of").await.unwrap();
        let closed = spawn(Connection::new(near, Once(false)).limits(limits));
        assert_eq!(far.read_to_end_limited(100).await.unwrap(), b"part of");
        drop(far);
        closed.await.unwrap()
    });
    assert!(matches!(closed, CloseReason::Finished), "{closed:?}");
}

/// The action of a protocol of these tests when it is called.
type Act = fn(&mut Context<'_>);

/// Records the order of its calls, and does a given action in two of them. A line is a message.
struct Told {
    received: Act,
    writable: Act,
    calls: SyncSender<&'static str>,
}

impl Protocol for Told {
    type Message = ();

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        self.calls.send("received")?;
        (self.received)(cx);
        Ok(input.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1))
    }

    fn writable(&mut self, cx: &mut Context<'_>) {
        self.calls.send("writable").unwrap();
        (self.writable)(cx);
    }

    fn message(&mut self, (): (), cx: &mut Context<'_>) {
        self.calls.send("message").unwrap();
        cx.resume_reading();
    }

    fn input_closed(&mut self, _: &[u8], cx: &mut Context<'_>) {
        self.calls.send("input closed").unwrap();
        cx.close();
    }
}

#[test]
fn end_of_the_input_waits_for_the_end_of_a_pause() {
    let (calls, called) = mpsc::sync_channel(16);
    run(async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"line\n").await.unwrap();
        far.shutdown().await.unwrap();
        let received: Act = |cx| {
            cx.write(b"!");
            cx.pause_reading(Instant::FAR_FUTURE);
        };
        let mut connection = Connection::new(near, Told { received, writable: |_| (), calls });
        let sender = connection.inbox();
        let connection = spawn(connection);
        far.read_exact(&mut [0]).await.unwrap();
        sender.send(()).await.unwrap();
        connection.await.unwrap();
    });
    let calls: Vec<&str> = called.iter().collect();
    assert_eq!(calls, ["received", "message", "input closed"]);
}

#[test]
fn pause_in_writable_stops_the_input_of_the_same_turn() {
    let (calls, called) = mpsc::sync_channel(16);
    run(async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"line\n").await.unwrap();
        let received: Act = |cx| cx.write(&vec![b'x'; 4 << 20]);
        let writable: Act = |cx| {
            cx.write(b"!");
            cx.pause_reading(Instant::FAR_FUTURE);
        };
        let mut connection = Connection::new(near, Told { received, writable, calls });
        let sender = connection.inbox();
        let connection = spawn(connection);
        far.read_exact(&mut [0]).await.unwrap();
        // The output is full now, so this is read after `writable` at the earliest.
        far.shutdown().await.unwrap();
        far.read_exact(&mut vec![0; 4 << 20]).await.unwrap();
        sender.send(()).await.unwrap();
        connection.await.unwrap();
    });
    let calls: Vec<&str> = called.iter().collect();
    assert_eq!(calls, ["received", "writable", "message", "input closed"]);
}

/// Failure: the timer was set to a time that had passed, again and again.
#[test]
fn pause_that_ends_while_the_output_is_full_costs_no_turns() {
    let counted = Arc::new(AtomicUsize::new(0));
    let (calls, called) = mpsc::sync_channel(16);
    run(async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        let received: Act = |cx| {
            cx.write(&vec![b'x'; 8 << 20]);
            cx.pause_reading(cx.now() + Duration::from_millis(1));
        };
        let connection = Connection::new(near, Told { received, writable: |_| (), calls });
        let connection = spawn(Counted { future: connection, polls: Arc::clone(&counted) });
        far.write_all(b"line\n").await.unwrap();
        sleep(Duration::from_millis(20)).await;
        // The pause is over.
        let before = counted.load(Ordering::Relaxed);
        sleep(Duration::from_millis(200)).await;
        let more = counted.load(Ordering::Relaxed) - before;
        assert!(more < 20, "{more} polls while nothing happens");
        far.shutdown().await.unwrap();
        far.read_exact(&mut vec![0; 8 << 20]).await.unwrap();
        connection.await.unwrap();
    });
    assert!(called.iter().eq(["received", "writable", "input closed"]));
}

/// Failure: the same part of a message was delivered again and again, and the rest was never read.
#[test]
fn resuming_without_a_pause_asks_for_more_input() {
    let (calls, called) = mpsc::sync_channel(1 << 16);
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    run(async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        let received: Act = |cx| {
            cx.write(b"!");
            cx.resume_reading();
        };
        let connection = Connection::new(near, Told { received, writable: |_| (), calls });
        let connection = spawn(Counted { future: connection, polls: counted });
        far.write_all(b"part").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        far.write_all(b" of a line\n").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        far.shutdown().await.unwrap();
        connection.await.unwrap();
    });
    let calls: Vec<&str> = called.iter().collect();
    assert_eq!(calls, ["received", "received", "input closed"]);
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls < 100, "{polls} polls");
}
