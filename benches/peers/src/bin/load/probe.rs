//! One connection that asks now and then: what a small request has to wait for.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{self, Client};
use crate::quantile;
use crate::target::Target;

/// For each line of input it asks for so long, and prints what it saw as a line of JSON.
///
/// A request is due each `gap`, or when the one before is answered, if that is later. The thread has
/// real-time priority where that is allowed, so that the load beside it on its CPU is not what it waits for.
pub(crate) fn run(target: &Target, gap: Duration, seconds: f64) -> io::Result<()> {
    let request = target.wire.get("");
    let length = client::answer_length(target, &request)?;
    let mut client = Client::connect(target, length)?;
    client.set_blocking(true)?;
    if let Err(error) = take_precedence() {
        eprintln!("load: no real-time priority ({error}): the probe waits for its CPU, too");
    }
    // Whatever first requests cost is not asked about.
    (0..WARM_UP).try_for_each(|_| client.ask_and_wait(&request))?;
    println!("ready");
    while io::stdin().read_line(&mut String::new())? > 0 {
        println!("{}", ask(&mut client, &request, gap, seconds)?);
    }
    Ok(())
}

fn ask(client: &mut Client, request: &[u8], gap: Duration, seconds: f64) -> io::Result<String> {
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let (mut due, mut latencies) = (start, Vec::new());
    // Once at least, however slow the machine is.
    while latencies.is_empty() || due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        client.ask_and_wait(request)?;
        latencies.push(asked.elapsed().as_nanos() as u64);
        due = (due + gap).max(Instant::now());
    }
    latencies.sort_unstable();
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(&latencies, share));
    let count = latencies.len();
    Ok(format!("{{\"probes\": {count}, \"p50_us\": {p50:.1}, \"p99_us\": {p99:.1}}}"))
}

/// Has this thread run before all others on its CPU.
fn take_precedence() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the parameters, which live until it returns; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const WARM_UP: usize = 100;
