//! Connecting to one of several addresses, without waiting long for one that does not answer (Happy
//! Eyeballs, RFC 8305).
//!
//! A [`Race`] decides. It neither reads a clock nor opens a socket: its input is the time and the
//! failed attempts, its output the attempt to begin or the time to wait for. [`connect`] carries
//! the steps out.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use heist_scheduler::Handle;
use heist_scheduler::time::{self, Instant, Sleep};

/// Connects to one of `addresses` with `connect`: the first attempt that succeeds ends the others.
/// The error has each address in the order of the attempts, and the error of each.
pub(crate) async fn connect<T, F>(
    addresses: &[SocketAddr],
    deadline: Instant,
    mut connect: impl FnMut(SocketAddr) -> F,
) -> Result<T, Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<T>>,
{
    let mut race = Race::new(addresses, deadline);
    let mut running = Vec::new();
    let mut sleep = pin!(time::sleep_until(deadline));
    let connected = poll_fn(|cx| {
        loop {
            match race.step(now()) {
                Step::Begin(index, address) => running.push((index, Box::pin(connect(address)))),
                Step::Wait(until) => match poll_all(&mut running, cx) {
                    Some((_, Ok(connected))) => return Poll::Ready(Some(connected)),
                    Some((index, Err(error))) => race.failed(index, error),
                    None if is_over(sleep.as_mut(), until, cx) => {}
                    None => return Poll::Pending,
                },
                Step::Over => return Poll::Ready(None),
            }
        }
    });
    match connected.await {
        Some(connected) => Ok(connected),
        None => Err(race.into_failures()),
    }
}

/// Removes an attempt that has ended from `running`.
fn poll_all<T, F>(
    running: &mut Vec<(usize, Pin<Box<F>>)>,
    cx: &mut Context<'_>,
) -> Option<(usize, io::Result<T>)>
where
    F: Future<Output = io::Result<T>>,
{
    for position in 0..running.len() {
        let (index, attempt) = &mut running[position];
        if let Poll::Ready(outcome) = attempt.as_mut().poll(cx) {
            let index = *index;
            running.swap_remove(position);
            return Some((index, outcome));
        }
    }
    None
}

fn is_over(mut sleep: Pin<&mut Sleep>, until: Instant, cx: &mut Context<'_>) -> bool {
    if sleep.deadline() != until {
        sleep.reset(until);
    }
    sleep.poll(cx).is_ready()
}

/// The runtime's time. Outside a runtime each attempt fails at once, and any time will do.
fn now() -> Instant {
    Handle::try_current().map_or(Instant::ZERO, |runtime| runtime.clock().now())
}

/// Attempts to connect. The next one begins when the one before it has failed or its delay is over.
#[derive(Debug)]
struct Race {
    attempts: Vec<(SocketAddr, Attempt)>,
    /// The number of attempts that have begun.
    begun: usize,
    running: usize,
    /// The time at which the next one begins while one is running.
    next: Instant,
    deadline: Instant,
}

#[derive(Debug)]
enum Attempt {
    Waiting,
    Running,
    Failed(io::Error),
}

/// The next step.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
enum Step {
    /// Begin the attempt with this number.
    Begin(usize, SocketAddr),
    /// Wait until an attempt ends or this time has come.
    Wait(Instant),
    /// Drop the running attempts: no address is connected to.
    Over,
}

impl Race {
    /// `addresses` are in the order of the system's resolver.
    fn new(addresses: &[SocketAddr], deadline: Instant) -> Race {
        let attempts = alternating(addresses).map(|address| (address, Attempt::Waiting));
        let attempts = attempts.collect();
        Race { attempts, begun: 0, running: 0, next: Instant::ZERO, deadline }
    }

    fn step(&mut self, now: Instant) -> Step {
        let waiting = self.attempts.get_mut(self.begun);
        match waiting {
            _ if now >= self.deadline => Step::Over,
            Some((address, attempt)) if self.running == 0 || now >= self.next => {
                *attempt = Attempt::Running;
                self.begun += 1;
                self.running += 1;
                self.next = now + DELAY;
                Step::Begin(self.begun - 1, *address)
            }
            Some(_) => Step::Wait(self.next.min(self.deadline)),
            None if self.running > 0 => Step::Wait(self.deadline),
            None => Step::Over,
        }
    }

    /// The running attempt with this number has failed: the next one begins at once.
    fn failed(&mut self, index: usize, error: io::Error) {
        debug_assert!(matches!(self.attempts[index].1, Attempt::Running), "{self:?}");
        self.attempts[index].1 = Attempt::Failed(error);
        self.running -= 1;
        self.next = Instant::ZERO;
    }

    fn into_failures(self) -> Vec<(SocketAddr, io::Error)> {
        let late = |what| io::Error::new(io::ErrorKind::TimedOut, what);
        let failure = |attempt| match attempt {
            Attempt::Waiting => late("the time was up before it was tried"),
            Attempt::Running => late("the time was up before it answered"),
            Attempt::Failed(error) => error,
        };
        let failures = self.attempts.into_iter();
        failures.map(|(address, attempt)| (address, failure(attempt))).collect()
    }
}

/// The addresses with the families in turn, otherwise in their order, beginning with the family of
/// the first; each address once.
fn alternating(addresses: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> {
    let is_first_family =
        |it: &&SocketAddr| addresses.first().is_some_and(|first| first.is_ipv6() == it.is_ipv6());
    let mut once: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !once.contains(address) {
            once.push(*address);
        }
    }
    let (first, second): (Vec<_>, Vec<_>) = once.into_iter().partition(|it| is_first_family(&it));
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        match turn {
            true => first.next().or_else(|| second.next()),
            false => second.next().or_else(|| first.next()),
        }
    })
}

/// "Connection Attempt Delay" of RFC 8305, section 5.
const DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::{Runtime, TcpStream};

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn addresses<const N: usize>(texts: [&str; N]) -> [SocketAddr; N] {
        texts.map(|text| text.parse().unwrap())
    }

    const FOUR: [&str; 4] = ["[::1]:1", "[::2]:2", "127.0.0.3:3", "127.0.0.4:4"];

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    #[test]
    fn families_alternate_and_each_address_is_tried_once() {
        let order = |texts: &[&str]| {
            let parsed: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
            alternating(&parsed).map(|address| address.port()).collect::<Vec<_>>()
        };
        assert_eq!(order(&FOUR), [1, 3, 2, 4]);
        assert_eq!(order(&["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"]), [1, 3, 2]);
        assert_eq!(order(&["[::1]:1", "127.0.0.1:2", "127.0.0.1:3"]), [1, 2, 3]);
        assert_eq!(order(&["[::1]:1", "[::1]:1", "127.0.0.1:2", "[::1]:1"]), [1, 2]);
        assert!(order(&[]).is_empty());
    }

    /// Failure: a first address that does not answer uses up the time of the others.
    #[test]
    fn next_attempt_begins_after_a_delay() {
        let [one, two, three, four] = addresses(FOUR);
        let mut race = Race::new(&[one, two, three, four], at(30_000));
        assert_eq!(race.step(at(1000)), Step::Begin(0, one));
        assert_eq!(race.step(at(1000)), Step::Wait(at(1250)));
        assert_eq!(race.step(at(1249)), Step::Wait(at(1250)));
        assert_eq!(race.step(at(1250)), Step::Begin(1, three));
        assert_eq!(race.step(at(1250)), Step::Wait(at(1500)));
        // After a late step the next delay counts from that step.
        assert_eq!(race.step(at(1700)), Step::Begin(2, two));
        assert_eq!(race.step(at(1700)), Step::Wait(at(1950)));
        assert_eq!(race.step(at(1950)), Step::Begin(3, four));
        assert_eq!(race.step(at(1950)), Step::Wait(at(30_000)));
        assert_eq!(race.step(at(30_000)), Step::Over);
    }

    #[test]
    fn next_attempt_begins_at_once_when_one_fails() {
        let [one, two, three, four] = addresses(FOUR);
        let mut race = Race::new(&[one, two, three, four], Instant::FAR_FUTURE);
        assert_eq!(race.step(at(0)), Step::Begin(0, one));
        race.failed(0, refused());
        assert_eq!(race.step(at(1)), Step::Begin(1, three));
        assert_eq!(race.step(at(251)), Step::Begin(2, two));
        // The failure of an earlier attempt counts, too.
        race.failed(1, refused());
        assert_eq!(race.step(at(252)), Step::Begin(3, four));
        race.failed(2, refused());
        assert_eq!(race.step(at(253)), Step::Wait(Instant::FAR_FUTURE));
        race.failed(3, refused());
        assert_eq!(race.step(at(254)), Step::Over);
        let order: Vec<_> = race.into_failures().into_iter().map(|(address, _)| address).collect();
        assert_eq!(order, [one, three, two, four]);
    }

    #[test]
    fn deadline_ends_all_and_reports_each() {
        let [one, two, three, four] = addresses(FOUR);
        let mut race = Race::new(&[one, two, three, four], at(300));
        assert_eq!(race.step(at(0)), Step::Begin(0, one));
        race.failed(0, refused());
        assert_eq!(race.step(at(0)), Step::Begin(1, three));
        assert_eq!(race.step(at(250)), Step::Begin(2, two));
        // The deadline comes before the next delay.
        assert_eq!(race.step(at(250)), Step::Wait(at(300)));
        assert_eq!(race.step(at(300)), Step::Over);
        let failures: Vec<_> =
            race.into_failures().into_iter().map(|(_, error)| error.to_string()).collect();
        let late = "the time was up before it answered".to_owned();
        let untried = "the time was up before it was tried".to_owned();
        assert_eq!(failures, [refused().to_string(), late.clone(), late, untried]);
    }

    #[test]
    fn without_an_address_or_without_time_nothing_is_tried() {
        assert_eq!(Race::new(&[], at(1)).step(at(0)), Step::Over);
        assert_eq!(Race::new(&addresses(FOUR), at(1)).step(at(1)), Step::Over);
    }

    /// A socket that does not accept and whose backlog is full, so that a further connection gets
    /// no answer; and the sockets that fill it.
    fn silent() -> (SocketAddr, impl Sized) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let crowd = [(); 3].map(|()| {
            let one = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
            // It is connecting, or gets no answer either.
            let _ = one.connect(&address.into());
            one
        });
        // The first of them is connected, which fills the backlog.
        let mut first = [rustix::event::PollFd::new(&crowd[0], rustix::event::PollFlags::OUT)];
        rustix::event::poll(&mut first, None).unwrap();
        (address, (socket, crowd))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let guarded = async { time::timeout(Duration::from_secs(60), future).await };
        Runtime::new().unwrap().block_on(guarded).expect("the test hangs")
    }

    /// Failure: a first address that does not answer delays a connection for minutes.
    #[test]
    fn second_address_is_connected_to_while_the_first_is_silent() {
        let (silent, _crowd) = silent();
        let live = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let live = live.local_addr().map(|address| (address, live)).unwrap();
        let stream = run(async {
            connect(&[silent, live.0], Instant::FAR_FUTURE, TcpStream::connect_address)
                .await
                .unwrap()
        });
        assert_eq!(stream.peer_addr().unwrap(), live.0);
    }

    #[test]
    fn time_that_is_up_ends_an_attempt_without_an_answer() {
        let (silent, _crowd) = silent();
        run(async {
            let deadline = Instant::now() + Duration::from_millis(20);
            let failures = connect(&[silent], deadline, TcpStream::connect_address)
                .await
                .map(drop)
                .unwrap_err();
            assert_eq!(failures[0].1.kind(), io::ErrorKind::TimedOut);
        });
    }

    /// Failure: an attempt goes on when another has won or when nothing waits for it any more.
    #[test]
    fn attempts_are_dropped_with_the_winner_and_with_the_future() {
        let alive = Arc::new(());
        let attempt = |winner: u16| {
            let alive = &alive;
            move |address: SocketAddr| {
                let held = Arc::clone(alive);
                async move {
                    if address.port() != winner {
                        std::future::pending::<()>().await;
                    }
                    drop(held);
                    Ok(address)
                }
            }
        };
        let four = addresses(FOUR);
        run(async {
            let winner = connect(&four, Instant::FAR_FUTURE, attempt(3)).await.unwrap();
            assert_eq!(winner.port(), 3);
            assert_eq!(Arc::strong_count(&alive), 1);

            let mut given_up = Box::pin(connect(&four, Instant::FAR_FUTURE, attempt(0)));
            // Until the second attempt has begun.
            poll_fn(|cx| {
                assert!(given_up.as_mut().poll(cx).is_pending());
                match Arc::strong_count(&alive) {
                    3 => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
            .await;
            drop(given_up);
            assert_eq!(Arc::strong_count(&alive), 1);
        });
    }
}
