//! Protocols over real sockets.

mod common;
#[path = "common/order.rs"]
mod order;

use std::convert::Infallible;
use std::future::Future;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, ThreadId};
use std::time::Duration;

use common::{Counted, GUARD, blocking_pair, guarded, pair, run};
use heist_net::protocol::{self, CloseReason, Context, Limits, Protocol, SendError};
use heist_net::{Builder, Connection, Runtime, UnixStream};
use heist_scheduler::time::Clock;
use heist_scheduler::{JoinHandle, spawn};
use order::TwoWorkers;
use socket2::SockRef;

/// The calls of a [`Lines`], in order.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Opened,
    /// Input that was not a complete line.
    Partial(usize),
    Line(String),
    Message(u32),
    Deadline,
    InputClosed(usize),
    Closed(String),
}

/// Sends each line back in capitals; some lines are commands.
struct Lines {
    events: SyncSender<Event>,
    /// Goes on after the peer has finished sending.
    stays: bool,
}

impl Lines {
    fn new() -> (Lines, Receiver<Event>) {
        let (events, receiver) = mpsc::sync_channel(1 << 16);
        (Lines { events, stays: false }, receiver)
    }

    fn tell(&self, event: Event) {
        self.events.send(event).unwrap();
    }
}

impl Protocol for Lines {
    type Message = u32;

    fn opened(&mut self, _: &mut Context<'_>) {
        self.tell(Event::Opened);
    }

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
            self.tell(Event::Partial(input.len()));
            return Ok(0);
        };
        let line = std::str::from_utf8(&input[..end])?;
        cx.write(line.to_uppercase().as_bytes());
        match line {
            "close" => cx.close(),
            "finish" => cx.finish(),
            "abort" => cx.abort(),
            "panic" => panic!("as asked"),
            "wait" => cx.set_deadline_in(Duration::from_millis(5)),
            "later" => cx.set_deadline_in(Duration::from_secs(3_600)),
            _ => {}
        }
        self.tell(Event::Line(line.to_owned()));
        Ok(end + 1)
    }

    fn deadline(&mut self, cx: &mut Context<'_>) {
        self.tell(Event::Deadline);
        cx.write(b"(late)");
    }

    fn message(&mut self, message: u32, cx: &mut Context<'_>) {
        self.tell(Event::Message(message));
        cx.write(format!("({message})").as_bytes());
    }

    fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        self.tell(Event::InputClosed(rest.len()));
        if !self.stays {
            cx.close();
        }
    }

    fn closed(&mut self, reason: &CloseReason) {
        self.tell(Event::Closed(reason.to_string()));
    }
}

fn line(text: &str) -> Event {
    Event::Line(text.to_owned())
}

fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(GUARD).expect("the protocol is called")
}

fn finished() -> Event {
    Event::Closed(CloseReason::Finished.to_string())
}

#[test]
fn same_answer_wherever_the_input_is_cut() {
    const INPUT: &[u8] = b"one\ntwo\nthree\n";
    run(async {
        for cut in 1..INPUT.len() {
            let (near, mut far) = blocking_pair().await;
            let (lines, events) = Lines::new();
            let connection = spawn(Connection::new(near, lines));
            assert_eq!(next(&events), Event::Opened);

            far.write_all(&INPUT[..cut]).unwrap();
            // The first part is delivered by itself: its lines, and the rest.
            for text in ["one", "two", "three"].iter().take(newlines(&INPUT[..cut])) {
                assert_eq!(next(&events), line(text));
            }
            if INPUT[cut - 1] != b'\n' {
                assert!(matches!(next(&events), Event::Partial(_)));
            }
            far.write_all(&INPUT[cut..]).unwrap();
            far.shutdown(Shutdown::Write).unwrap();

            let mut answer = String::new();
            far.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "ONETWOTHREE");
            assert!(matches!(connection.await.unwrap(), CloseReason::Finished));
        }
    });
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[test]
fn many_messages_in_one_write_are_answered_with_one() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (lines, events) = Lines::new();
        far.write_all(&b"ab\n".repeat(1_000)).await.unwrap();
        drop(spawn(Connection::new(near, lines)));
        // All input is there at once: the answers are sent in one piece.
        let mut answer = vec![0; 4_000];
        assert_eq!(far.read(&mut answer).await.unwrap(), 2_000);
        assert_eq!(next(&events), Event::Opened);
        assert_eq!(events.try_iter().filter(|event| *event == line("ab")).count(), 1_000);
    });
}

#[test]
fn data_and_fin_in_one_event_are_both_seen() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, events) = Lines::new();
        // All of them before the first poll of the connection.
        let sent = [b"line\n".repeat(20_000), b"cut o".to_vec()].concat();
        far.write_all(&sent).await.unwrap();
        far.shutdown().await.unwrap();
        let connection = spawn(Connection::new(near, lines));

        let (mut answer, mut buffer) = (0, vec![0; 4096]);
        while let count @ 1.. = far.read(&mut buffer).await.unwrap() {
            answer += count;
        }
        assert_eq!(answer, 80_000);
        assert!(matches!(connection.await.unwrap(), CloseReason::Finished));
        let events: Vec<_> =
            events.try_iter().filter(|event| !matches!(event, Event::Partial(_))).collect();
        assert_eq!(events.len(), 1 + 20_000 + 2);
        assert_eq!(events[20_001..], [Event::InputClosed(5), finished()]);
    });
}

#[test]
fn half_closed_peer_is_served_on_without_spinning() {
    run(async {
        let (near, mut far) = pair().await;
        let (mut lines, events) = Lines::new();
        lines.stays = true;
        let mut connection = Connection::new(near, lines);
        let sender = connection.inbox();
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Counted { future: connection, polls: Arc::clone(&polls) };
        let task = spawn(counted);
        far.shutdown().await.unwrap();
        assert_eq!(next(&events), Event::Opened);
        assert_eq!(next(&events), Event::InputClosed(0));

        let before = polls.load(Ordering::Relaxed);
        let mut answer = [0; 3];
        for _ in 0..10 {
            sender.send(7).await.unwrap();
            far.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"(7)");
        }
        // One wake for each message, and a few from the socket; a spin would be thousands.
        let polls = polls.load(Ordering::Relaxed) - before;
        assert!(polls <= 40, "{polls}");

        // The reset is still reported.
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        assert!(matches!(task.await.unwrap(), CloseReason::Lost(_)));
    });
}

/// Answers each byte with a kilobyte, and counts the answers.
struct Amplify(Arc<AtomicUsize>);

const ANSWER: usize = 1024;

impl Protocol for Amplify {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        cx.write(&[input[0]; ANSWER]);
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(1)
    }
}

#[test]
fn slow_reader_pauses_the_connection_instead_of_growing_its_output() {
    const REQUESTS: usize = 32 << 10;
    run(async {
        let (near, far) = blocking_pair().await;
        SockRef::from(&near).set_send_buffer_size(64 << 10).unwrap();
        SockRef::from(&far).set_recv_buffer_size(64 << 10).unwrap();
        let answers = Arc::new(AtomicUsize::new(0));
        let connection = spawn(Connection::new(near, Amplify(Arc::clone(&answers))));

        let requests: Vec<u8> = (0..REQUESTS).map(|index| index as u8).collect();
        (&far).write_all(&requests).unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        for request in 0..REQUESTS {
            let mut answer = [0; ANSWER];
            (&far).read_exact(&mut answer).unwrap();
            assert_eq!(answer, [request as u8; ANSWER]);
            // The system's buffers, twice the size that was asked for, and the connection's: far
            // less than 32 MiB.
            let ahead = answers.load(Ordering::SeqCst) - request;
            assert!(ahead < 1024, "{ahead} KiB of answers wait for a slow reader");
        }
        assert_eq!((&far).read(&mut [0]).unwrap(), 0);
        assert!(matches!(connection.await.unwrap(), CloseReason::Finished));
    });
}

const GENERATED: [u8; 1000] = [b'g'; 1000];

/// Writes a number of bytes, whenever there is room, then closes.
struct Generate {
    left: usize,
    most: Arc<AtomicUsize>,
}

impl Generate {
    fn generate(&mut self, cx: &mut Context<'_>) {
        while self.left > 0 && cx.room() > 0 {
            let count = self.left.min(GENERATED.len());
            cx.write(&GENERATED[..count]);
            self.left -= count;
        }
        self.most.fetch_max(cx.output().len(), Ordering::Relaxed);
        if self.left == 0 {
            cx.close();
        }
    }
}

impl Protocol for Generate {
    type Message = Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        self.generate(cx);
    }

    fn writable(&mut self, cx: &mut Context<'_>) {
        self.generate(cx);
    }

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }
}

#[test]
fn generator_is_called_until_it_has_written_all() {
    run(async {
        let (near, mut far) = pair().await;
        let most = Arc::new(AtomicUsize::new(0));
        let generate = Generate { left: 5_000_001, most: Arc::clone(&most) };
        let connection = spawn(Connection::new(near, generate));
        let (mut received, mut buffer) = (0, vec![0; 30_000]);
        while let count @ 1.. = far.read(&mut buffer).await.unwrap() {
            received += count;
        }
        assert_eq!(received, 5_000_001);
        drop(far);
        assert!(matches!(connection.await.unwrap(), CloseReason::Finished));
        assert!(most.load(Ordering::Relaxed) < 64 * 1024 + 1000);
    });
}

#[test]
fn deadline_fires_once_until_it_is_set_again() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, events) = Lines::new();
        drop(spawn(Connection::new(near, lines)));
        for _ in 0..3 {
            far.write_all(b"wait\n").await.unwrap();
            let mut answer = [0; 10];
            far.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"WAIT(late)");
        }
        drop(far);
        let expected = [line("wait"), Event::Deadline];
        assert_eq!(next(&events), Event::Opened);
        for _ in 0..3 {
            assert_eq!([next(&events), next(&events)], expected);
        }
        assert_eq!(next(&events), Event::InputClosed(0));
    });
}

#[test]
fn deadline_that_was_moved_later_does_not_fire_at_the_old_time() {
    let (clock, hands) = Clock::manual();
    let runtime = Builder::new().workers(1).clock(clock).start().unwrap();
    runtime.block_on(async {
        let (near, mut far) = blocking_pair().await;
        let (lines, events) = Lines::new();
        drop(spawn(Connection::new(near, lines)));
        assert_eq!(next(&events), Event::Opened);
        let mut ask = |question: &[u8], count| {
            far.write_all(question).unwrap();
            let mut answer = vec![0; count];
            far.read_exact(&mut answer).unwrap();
            String::from_utf8(answer).unwrap()
        };
        assert_eq!(ask(b"wait\n", 4), "WAIT");
        assert_eq!(ask(b"later\n", 5), "LATER");
        // After the first deadline, long before the second.
        hands.advance(Duration::from_secs(1));
        assert_eq!(ask(b"a\nb\n", 2), "AB");
        hands.advance(Duration::from_secs(3_600));
        // A worker that is still awake may call it before the line comes.
        let answer = ask(b"c\n", 7);
        assert!(["C(late)", "(late)C"].contains(&&*answer), "{answer}");
        assert_eq!(ask(b"d\n", 1), "D");
        assert_eq!(events.try_iter().filter(|event| *event == Event::Deadline).count(), 1);
    });
}

/// Writes more than fits, and sets in its deadline one that has passed already.
struct Impatient {
    deadlines: usize,
}

impl Protocol for Impatient {
    type Message = Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        cx.write(&vec![0; 64 << 20]);
        cx.set_deadline_in(Duration::from_millis(1));
    }

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }

    fn deadline(&mut self, cx: &mut Context<'_>) {
        self.deadlines += 1;
        match self.deadlines {
            3 => cx.abort(),
            _ => cx.set_deadline(Some(cx.now())),
        }
    }
}

#[test]
fn deadline_of_a_paused_connection_is_not_forgotten() {
    run(async {
        let (near, _far) = pair().await;
        let task = spawn(Connection::new(near, Impatient { deadlines: 0 }));
        assert!(matches!(task.await.unwrap(), CloseReason::Aborted));
    });
}

#[test]
fn full_inbox_refuses_or_makes_wait() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, events) = Lines::new();
        let limits = Limits { inbox: 2, ..Limits::default() };
        let mut connection = Connection::new(near, lines).limits(limits);
        let sender = connection.inbox();
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert_eq!(sender.try_send(3), Err(SendError::Full(3)));
        let waiting = spawn({
            let sender = sender.clone();
            async move { sender.send(4).await }
        });
        let task = spawn(connection);
        waiting.await.unwrap().unwrap();
        let mut answer = [0; 9];
        far.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"(1)(2)(4)");
        drop(far);
        task.await.unwrap();
        assert_eq!(sender.send(5).await, Err(SendError::Closed(5)));
        assert!(sender.is_closed());
        let expected = [Event::Opened, Event::Message(1), Event::Message(2), Event::Message(4)];
        for event in expected {
            assert_eq!(next(&events), event);
        }
    });
}

#[test]
fn panic_ends_its_own_connection_only() {
    let runtime = Builder::new().workers(1).start().unwrap();
    runtime.block_on(guarded(async {
        let (near, mut victim) = pair().await;
        let (lines, events) = Lines::new();
        let panicking = spawn(Connection::new(near, lines));
        let (near, mut other) = pair().await;
        let (lines, _other_events) = Lines::new();
        drop(spawn(Connection::new(near, lines)));

        victim.write_all(b"panic\n").await.unwrap();
        assert!(panicking.await.unwrap_err().is_panic());
        assert_eq!(next(&events), Event::Opened);
        assert_eq!(next(&events), Event::Closed(CloseReason::Panicked.to_string()));
        // Nothing is left that could tell more.
        assert!(events.recv_timeout(GUARD).is_err());

        other.write_all(b"still here\n").await.unwrap();
        let mut answer = [0; 10];
        other.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"STILL HERE");
    }));
}

#[test]
fn dropped_connection_tells_its_protocol() {
    run(async {
        let (near, _far) = pair().await;
        let (lines, events) = Lines::new();
        let task = spawn(Connection::new(near, lines));
        assert_eq!(next(&events), Event::Opened);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(next(&events), Event::Closed(CloseReason::Cancelled.to_string()));

        // A protocol that was never opened is not called.
        let (near, _far) = pair().await;
        let (lines, events) = Lines::new();
        drop(Connection::new(near, lines));
        assert!(events.recv_timeout(GUARD).is_err());
    });
}

#[test]
fn urgent_data_strands_nothing_behind_it() {
    run(async {
        let (near, far) = blocking_pair().await;
        let (lines, events) = Lines::new();
        drop(spawn(Connection::new(near, lines)));
        assert_eq!(next(&events), Event::Opened);
        (&far).write_all(b"abc").unwrap();
        SockRef::from(&far).send_out_of_band(b"!").unwrap();
        (&far).write_all(b"defg\n").unwrap();
        let mut answer = [0; 8];
        (&far).read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ABC!DEFG");
    });
}

#[test]
fn message_that_is_too_long_ends_the_connection() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, _events) = Lines::new();
        let limits = Limits { max_message: 100, ..Limits::default() };
        let task = spawn(Connection::new(near, lines).limits(limits));
        far.write_all(b"short\n").await.unwrap();
        far.write_all(&[b'x'; 101]).await.unwrap();
        let mut answer = [0; 16];
        far.read_exact(&mut answer[..5]).await.unwrap();
        assert_eq!(far.read(&mut answer).await.unwrap(), 0);
        drop(far);
        assert!(matches!(task.await.unwrap(), CloseReason::MessageTooLong { limit: 100 }));
    });
}

#[test]
fn error_of_the_protocol_ends_the_connection_after_the_answers() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, _events) = Lines::new();
        let task = spawn(Connection::new(near, lines));
        far.write_all(b"good\n\xff\nignored\n").await.unwrap();
        let mut answer = [0; 16];
        assert_eq!(far.read(&mut answer).await.unwrap(), 4);
        assert_eq!(far.read(&mut answer).await.unwrap(), 0);
        drop(far);
        assert!(matches!(task.await.unwrap(), CloseReason::Protocol(_)));
    });
}

#[test]
fn rst_does_not_kill_the_answer_to_an_unread_upload() {
    run(async {
        let (near, mut far) = blocking_pair().await;
        let (lines, _events) = Lines::new();
        let limits = Limits { linger_timeout: 60 * GUARD, ..Limits::default() };
        let task = spawn(Connection::new(near, lines).limits(limits));
        far.write_all(b"close\n").unwrap();
        let mut answer = [0; 5];
        far.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"CLOSE");
        // The connection is closing, and the peer sends on: its bytes are discarded, and it is not
        // reset.
        for _ in 0..100 {
            far.write_all(&[0; 1000]).unwrap();
        }
        assert_eq!(far.read(&mut answer).unwrap(), 0);
        drop(far);
        assert!(matches!(task.await.unwrap(), CloseReason::Finished));
    });
}

#[test]
fn peer_is_not_waited_for_after_the_protocol_has_finished() {
    run(async {
        let limits = Arc::new(Limits { linger_timeout: 60 * GUARD, ..Limits::default() });
        let (near, mut far) = blocking_pair().await;
        let (unix, mut other) = UnixStream::pair().unwrap();
        let (lines, _events) = Lines::new();
        let mut connection = Connection::new(near, lines).limits(Arc::clone(&limits));
        far.write_all(b"finish\n").unwrap();
        assert!(matches!((&mut connection).await, CloseReason::Finished));
        // The peer reads the end, although the connection was not dropped.
        let mut answer = String::new();
        far.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "FINISH");

        // A short read of this socket does not prove it empty.
        let (lines, _events) = Lines::new();
        let task = spawn(Connection::new(unix, lines).limits(limits));
        other.write_all(b"finish\n").await.unwrap();
        assert!(matches!(task.await.unwrap(), CloseReason::Finished));
    });
}

#[test]
fn peer_that_has_sent_more_is_heard_out_after_the_protocol_has_finished() {
    for more in [1, 1 << 20] {
        run(async {
            let (near, mut far) = blocking_pair().await;
            let (lines, _events) = Lines::new();
            let input = [b"finish\n", &vec![b'x'; more][..]].concat();
            let limits =
                Limits { linger_timeout: 60 * GUARD, linger_bytes: 2 << 20, ..Limits::default() };
            let task = spawn(async move { Connection::new(near, lines).limits(limits).await });
            far.write_all(&input).unwrap();
            let mut answer = [0; 6];
            far.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"FINISH");
            for _ in 0..100 {
                far.write_all(&[0; 1000]).unwrap();
            }
            assert_eq!(far.read(&mut answer).unwrap(), 0);
            drop(far);
            assert!(matches!(task.await.unwrap(), CloseReason::Finished));
        });
    }
}

#[test]
fn all_output_is_sent_when_the_protocol_finishes_before_the_peer_reads() {
    struct Flood;
    impl Protocol for Flood {
        type Message = Infallible;

        fn received(
            &mut self,
            input: &[u8],
            cx: &mut Context<'_>,
        ) -> Result<usize, protocol::Error> {
            cx.output().resize(64 << 20, b'x');
            cx.finish();
            Ok(input.len())
        }
    }
    run(async {
        let limits =
            Limits { flush_timeout: 60 * GUARD, linger_timeout: 60 * GUARD, ..Limits::default() };
        let (near, mut far) = blocking_pair().await;
        far.write_all(b"x").unwrap();
        let task = spawn(Connection::new(near, Flood).limits(limits));
        let reader = std::thread::spawn(move || {
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).map(|_| (answer.len(), far))
        });
        assert!(matches!(task.await.unwrap(), CloseReason::Finished));
        assert_eq!(reader.join().unwrap().unwrap().0, 64 << 20);
    });
}

#[test]
fn peer_that_sends_for_ever_does_not_hold_a_closing_connection() {
    run(async {
        let (near, mut far) = blocking_pair().await;
        let (lines, _events) = Lines::new();
        let limits = Limits { linger_timeout: 60 * GUARD, ..Limits::default() };
        let task = spawn(Connection::new(near, lines).limits(limits));
        far.write_all(b"close\n").unwrap();
        let cut_off = (0..1_000).any(|_| far.write_all(&[0; 100_000]).is_err());
        assert!(cut_off, "100 MB were read");
        assert!(matches!(task.await.unwrap(), CloseReason::Finished));
    });
}

#[test]
fn peer_that_never_closes_does_not_hold_a_closing_connection() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, _events) = Lines::new();
        let limits = Limits { linger_timeout: Duration::from_millis(5), ..Limits::default() };
        let task = spawn(Connection::new(near, lines).limits(limits));
        far.write_all(b"close\n").await.unwrap();
        assert!(matches!(task.await.unwrap(), CloseReason::Finished));
    });
}

#[test]
fn peer_that_never_reads_does_not_hold_a_closing_connection() {
    run(async {
        let (near, _far) = pair().await;
        let limits = Limits {
            flush_timeout: Duration::from_millis(5),
            high_watermark: usize::MAX,
            ..Limits::default()
        };
        let generate = Generate { left: 64 << 20, most: Arc::default() };
        let task = spawn(Connection::new(near, generate).limits(limits));
        assert!(matches!(task.await.unwrap(), CloseReason::FlushTimeout));
    });
}

#[test]
fn abort_closes_at_once() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, _events) = Lines::new();
        let task = spawn(Connection::new(near, lines));
        far.write_all(b"abort\n").await.unwrap();
        assert!(matches!(task.await.unwrap(), CloseReason::Aborted));
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn sender_can_end_a_connection_whose_peer_does_not_read() {
    run(async {
        let (near, far) = pair().await;
        let generate = Generate { left: 64 << 20, most: Arc::default() };
        let mut connection = Connection::new(near, generate);
        let sender = connection.inbox();
        let task = spawn(connection);
        // Then it writes, and with a peer that does not read it does not get far.
        far.peek(&mut [0]).await.unwrap();
        sender.abort();
        assert!(matches!(task.await.unwrap(), CloseReason::Aborted));
        assert!(sender.is_closed());
    });
}

#[test]
fn sender_can_end_a_connection_that_is_about_to_close() {
    run(async {
        let (near, mut far) = pair().await;
        let (lines, _events) = Lines::new();
        let limits = Limits { linger_timeout: Duration::MAX, ..Limits::default() };
        let mut connection = Connection::new(near, lines).limits(limits);
        let sender = connection.inbox();
        let task = spawn(connection);
        far.write_all(b"close\n").await.unwrap();
        let mut rest = Vec::new();
        while let count @ 1.. = far.read(&mut [0; 64]).await.unwrap() {
            rest.push(count);
        }
        sender.abort();
        assert!(matches!(task.await.unwrap(), CloseReason::Aborted));
    });
}

#[test]
fn reset_by_the_peer_ends_the_connection() {
    run(async {
        let (near, far) = blocking_pair().await;
        let (lines, events) = Lines::new();
        let task = spawn(Connection::new(near, lines));
        assert_eq!(next(&events), Event::Opened);
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        assert!(matches!(task.await.unwrap(), CloseReason::Lost(_)));
    });
}

#[test]
fn connecting_side_runs_the_same_engine() {
    /// Sends a request, and closes when the answer has come.
    struct Ask;

    impl Protocol for Ask {
        type Message = Infallible;

        fn opened(&mut self, cx: &mut Context<'_>) {
            cx.write(b"question\n");
        }

        fn received(
            &mut self,
            input: &[u8],
            cx: &mut Context<'_>,
        ) -> Result<usize, protocol::Error> {
            if input.len() < 8 {
                return Ok(0);
            }
            assert_eq!(input, b"QUESTION");
            cx.close();
            Ok(8)
        }
    }

    run(async {
        let (near, far) = pair().await;
        let (lines, _events) = Lines::new();
        let server = spawn(Connection::new(far, lines));
        assert!(matches!(Connection::new(near, Ask).await, CloseReason::Finished));
        assert!(matches!(server.await.unwrap(), CloseReason::Finished));
    });
}

#[test]
fn shutdown_of_the_runtime_tells_every_protocol() {
    let runtime = common::runtime();
    let (lines, events) = Lines::new();
    let far = runtime.block_on(guarded(async {
        let (near, far) = pair().await;
        drop(spawn(Connection::new(near, lines)));
        far
    }));
    assert_eq!(next(&events), Event::Opened);
    let report = runtime.shutdown(GUARD);
    assert_eq!(report.tasks_left, 0);
    assert_eq!(next(&events), Event::Closed(CloseReason::Cancelled.to_string()));
    drop(far);
}

/// Tells when it is called and waits to go on, then sends much and closes.
struct Slow {
    /// The worker of the first poll.
    opened: SyncSender<ThreadId>,
    called: SyncSender<()>,
    go_on: Receiver<()>,
}

/// What a test has of a [`Slow`].
struct Call {
    opened: Receiver<ThreadId>,
    called: Receiver<()>,
    go_on: SyncSender<()>,
}

impl Slow {
    fn new() -> (Slow, Call) {
        let (opened, is_opened) = mpsc::sync_channel(1);
        let (called, is_called) = mpsc::sync_channel(1);
        let (go_on, may_go_on) = mpsc::sync_channel(1);
        let slow = Slow { opened, called, go_on: may_go_on };
        (slow, Call { opened: is_opened, called: is_called, go_on })
    }
}

/// More than the buffers of two sockets hold.
const MUCH: usize = 4 << 20;

impl Protocol for Slow {
    type Message = Infallible;

    fn opened(&mut self, _: &mut Context<'_>) {
        self.opened.send(thread::current().id()).unwrap();
    }

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        self.called.send(()).unwrap();
        self.go_on.recv_timeout(GUARD)?;
        cx.output().resize(MUCH, b'x');
        cx.close();
        Ok(input.len())
    }
}

/// Reads all that a [`Slow`] sends, after it was let go on.
fn assert_all_is_sent(
    runtime: &Runtime,
    mut far: std::os::unix::net::UnixStream,
    ended: JoinHandle<CloseReason>,
) {
    let mut output = Vec::new();
    far.set_read_timeout(Some(GUARD)).unwrap();
    far.read_to_end(&mut output).unwrap();
    assert_eq!(output.len(), MUCH);
    drop(far);
    let ended = runtime.block_on(ended).unwrap();
    assert!(matches!(ended, CloseReason::Finished), "{ended:?}");
}

/// A connection in a task of its own, and its peer.
fn spawn_slow(
    runtime: &Runtime,
    slow: Slow,
    limits: Limits,
) -> (std::os::unix::net::UnixStream, JoinHandle<CloseReason>) {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let ended = runtime.spawn(async {
        Connection::new(UnixStream::from_std(near).unwrap(), slow).limits(limits).await
    });
    (far, ended)
}

/// Failure: another worker fired the timer of the idle limit during the call, and the closing
/// connection took that for its own deadline. It ended at once, with `FlushTimeout`.
#[test]
fn timer_that_fires_in_a_call_does_not_cut_off_the_last_output() {
    let workers = TwoWorkers::new();
    let (slow, call) = Slow::new();
    let limits = Limits::default();
    let deadline = workers.runtime.handle().clock().now() + limits.idle_timeout;
    let (mut far, ended) = spawn_slow(&workers.runtime, slow, limits);
    workers.fire_within_a_run(
        call.opened.recv_timeout(GUARD).unwrap(),
        deadline,
        || {
            far.write_all(b"go").unwrap();
            call.called.recv_timeout(GUARD).unwrap();
        },
        || call.go_on.send(()).unwrap(),
    );
    assert_all_is_sent(&workers.runtime, far, ended);
}

/// Failure: the time for the last output was counted from before the call. None was left.
#[test]
fn time_for_the_last_output_begins_behind_the_call() {
    let (clock, hands) = Clock::manual();
    let runtime = Builder::new().ignore_environment().workers(1).clock(clock).start().unwrap();
    let (slow, call) = Slow::new();
    let limits = Limits { idle_timeout: Duration::MAX, ..Limits::default() };
    let flush = limits.flush_timeout;
    let (mut far, ended) = spawn_slow(&runtime, slow, limits);
    far.write_all(b"go").unwrap();
    call.called.recv_timeout(GUARD).unwrap();
    hands.advance(2 * flush);
    call.go_on.send(()).unwrap();
    assert_all_is_sent(&runtime, far, ended);
}

/// Counts what it was given, and how often it was told of the end.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    bytes: usize,
    closed: usize,
}

impl Protocol for Tally {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        self.bytes += input.len();
        Ok(input.len())
    }

    fn closed(&mut self, _: &CloseReason) {
        self.closed += 1;
    }
}

#[test]
fn connection_gives_its_protocol_back_at_the_end() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let running = spawn(Connection::new(near, Tally::default()).run());
        far.write_all(b"hello").await.unwrap();
        drop(far);
        let (tally, reason) = running.await.unwrap();
        assert_eq!(tally, Tally { bytes: 5, closed: 1 });
        assert!(matches!(reason, CloseReason::Finished), "{reason:?}");
    });
}

#[test]
fn connection_that_gives_its_protocol_back_before_the_end_ends_once() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(near, Tally::default());
        let sender = connection.inbox();
        // It begins to wait.
        let polled = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut connection).poll(cx))
        });
        assert!(polled.await.is_pending());
        assert_eq!(connection.into_protocol(), Tally { bytes: 0, closed: 1 });
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
        drop(sender);

        // One that was never polled knows nothing of the connection.
        let (near, _far) = UnixStream::pair().unwrap();
        let connection = Connection::new(near, Tally::default());
        assert_eq!(connection.into_protocol(), Tally::default());
    });
}
