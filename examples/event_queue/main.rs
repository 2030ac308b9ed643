//! The event queue by itself: several threads wait on one `heist_reactor::Queue`, with no scheduler
//! and no async anywhere. This is where a tutorial on epoll ends, if it covers threads.
//!
//! ```sh
//! cargo run --example event_queue
//! cargo run --example event_queue -- --threads 8 --clients 200 --kib 1024 --races 1000
//! ```
//!
//! # Level, edge, one-shot
//!
//! **Level-triggered**, epoll's default, reports a socket as often as it is asked while bytes are
//! there. With one thread that is comfortable. With several, each gets the same socket for the same
//! bytes, until one of them has read.
//!
//! **Edge-triggered** reports a socket once for each arrival of bytes, to one thread. That costs
//! two duties. The thread must *drain*: read until `WouldBlock`, since what it leaves is not
//! reported again. And it is not alone: the next bytes are the next edge, which may wake a second
//! thread while the first still reads, and then two read from one connection and tear its bytes
//! apart.
//!
//! **One-shot** closes that hole: after one event the socket is disarmed until it is re-armed,
//! so it is in one thread's hands at a time. The kernel can do it (`EPOLLONESHOT`), but wants a
//! system call to re-arm after every single event, and takes a lock of the whole epoll instance for
//! it. A server that does one read and one write a request would make three calls instead of two,
//! besides waiting.
//!
//! **So here one-shot lives in user space.** A source is registered once, edge-triggered, and
//! has one atomic word with a ready bit for each direction, and a place for one waker.
//!
//! - An edge sets the bit and takes the waker, if one is there. The edges that follow find no waker
//!   and only set the bit, so no second task is called. That is the one-shot.
//! - The called task clears the bit *first*, and then reads until `WouldBlock`. An edge meanwhile
//!   sets the bit again, so it cannot be missed.
//! - To re-arm is to leave a waker, and to look at the bit once more: if it is set, the task does
//!   not wait. That is two atomic operations and no system call.
//! - A task that stops early, because a buffer is full, sets the bit again: the next look finds it.
//!
//! In code, the first two are `Source::poll_drain` and `Drain::drained`, the third is `Pending`,
//! the last is to drop the `Drain`. See `receive` in `echo.rs`, the heart of this example: it reads
//! into the spare capacity of a buffer. `race.rs` is about the end: what becomes of sources that
//! are registered while the queue is closed. It also explains why a registered socket is never
//! cloned.
//!
//! # What runs a task
//!
//! The queue schedules nothing: it hands wakers out, and the caller decides what they do. Here to
//! wake a connection is to run it, on the thread that had the event, which takes the forty lines of
//! `task.rs`. With a scheduler it is to put it into a line of tasks; that is the rest of heist.

mod client;
mod echo;
#[path = "../common/print.rs"]
mod print;
mod race;
mod task;

use std::io::{self, Write};
use std::process::ExitCode;
use std::task::Waker;
use std::thread;

use clap::Parser;
use heist::reactor::{Config, Queue};

use crate::print::print;

/// One event queue, many threads, no scheduler.
#[derive(Parser)]
struct Options {
    /// How many threads wait on the queue, and how many others use it
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    threads: u16,
    /// How many connections each of the others makes
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=200))]
    clients: u16,
    /// How many KiB each connection sends to be echoed
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65536))]
    kib: u32,
    /// How often the queue is closed while sources are being registered
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=100_000))]
    races: u32,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match echo_to_many(&options).and_then(|()| close_under_many(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint(&error);
            ExitCode::FAILURE
        }
    }
}

/// Part one: register, drain, re-arm. An echo server on the queue, and clients that check it.
fn echo_to_many(options: &Options) -> io::Result<()> {
    let queue = Queue::new(Config::default())?;
    let address = echo::start(&queue)?;
    let (clients, bytes) = (usize::from(options.clients), options.kib as usize * 1024);
    let harvests = thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..options.threads).map(|_| scope.spawn(|| wait_and_run(&queue))).collect();
        let users: Vec<_> = (0..options.threads)
            .map(|_| {
                scope.spawn(move || (0..clients).try_for_each(|_| client::check(address, bytes)))
            })
            .collect();
        let served: io::Result<()> = users.into_iter().try_for_each(join);
        // The threads that wait return from it, and the acceptor's waker gives the last source up.
        queue.close().into_iter().for_each(Waker::wake);
        let harvests = waiting.into_iter().map(join).collect::<io::Result<Vec<_>>>()?;
        served.map(|()| harvests)
    })?;
    let sum = |count: fn(&Tally) -> usize| harvests.iter().map(count).sum::<usize>();
    print(format_args!(
        "{} connections echoed {} KiB each: {} events ({} stale, {} with nothing new)",
        clients * usize::from(options.threads),
        options.kib,
        sum(|tally| tally.events),
        sum(|tally| tally.stale),
        sum(|tally| tally.spurious),
    ))?;
    let by_thread: Vec<_> = harvests.iter().map(|tally| tally.events.to_string()).collect();
    let (by_thread, left) = (by_thread.join(" "), queue.sources());
    print(format_args!("events by thread: {by_thread}; sources left: {left}"))
}

/// What one waiting thread has seen.
#[derive(Default)]
struct Tally {
    events: usize,
    stale: usize,
    spurious: usize,
}

/// The loop of every thread that waits: the whole of what a scheduler would do with the queue.
fn wait_and_run(queue: &Queue) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut wakers = Vec::new();
    loop {
        // A few events at a time: what stays in the kernel is there for the other threads.
        let harvest = queue.wait(0, 8, None, &mut wakers)?;
        tally.events += harvest.events;
        tally.stale += harvest.stale;
        tally.spurious += harvest.spurious;
        wakers.drain(..).for_each(Waker::wake);
        if harvest.closed {
            return Ok(tally);
        }
    }
}

/// Part two: close races register.
fn close_under_many(options: &Options) -> io::Result<()> {
    let (mut told, mut refused) = (0, 0);
    for _ in 0..options.races {
        let race = race::run(options.threads)?;
        told += race.told;
        refused += race.refused;
    }
    let races = options.races;
    print(format_args!(
        "{races} closes raced with registrations: {told} were told, {refused} refused"
    ))
}

/// Waits for a thread, and resumes its panic here.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reports an error on standard error. `eprintln!` panics where that fails.
fn eprint(error: &io::Error) {
    let _ = writeln!(io::stderr(), "event_queue: {error}");
}
