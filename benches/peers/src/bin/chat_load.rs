//! A load for chats: people in the lobby, one after the other posting a line, at a fixed rate;
//! every guest receives every line. Counts deliveries, and how long each took from the moment its
//! line was due.
//!
//! `chat_load PEOPLE RATE SECONDS ADDRESS PID`: PID is the server's, for its CPU time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// A client in the lobby, and the beginning of a line that has not come whole.
struct Person {
    stream: TcpStream,
    partial: Vec<u8>,
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [people, rate, seconds, address, pid] = &arguments[..] else {
        eprintln!("usage: chat_load PEOPLE RATE SECONDS ADDRESS PID");
        std::process::exit(2)
    };
    let number = |text: &String| text.parse::<u64>().map_err(std::io::Error::other);
    let (people, rate, seconds) = (number(people)?, number(rate)?, number(seconds)?);
    // SAFETY: takes no pointer.
    let epoll = unsafe { libc::epoll_create1(0) };
    let mut lobby = Vec::new();
    for index in 0..people {
        lobby.push(enter(address)?);
        let stream = &lobby[index as usize].stream;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index };
        // SAFETY: `event` lives through the call.
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &mut event) };
    }
    let before = cpu_ticks(pid)?;
    let (start, total) = (Instant::now(), rate * seconds);
    let gap = Duration::from_nanos(1_000_000_000 / rate);
    let mut latencies: Vec<u32> = Vec::with_capacity((total * people) as usize);
    let mut said = 0;
    let end = Duration::from_secs(seconds + 10);
    while (latencies.len() as u64) < total * people && start.elapsed() < end {
        let due = gap * said as u32;
        if said < total && start.elapsed() >= due {
            let speaker = &mut lobby[(said * 7919 % people) as usize];
            speaker.stream.write_all(format!("@{} hello\n", due.as_micros()).as_bytes())?;
            said += 1;
            continue;
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        // SAFETY: the buffer holds as many events as are asked for.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 64, 0) };
        for event in &events[..count.max(0) as usize] {
            receive(&mut lobby[event.u64 as usize], start, &mut latencies)?;
        }
    }
    report(&mut latencies, total * people, cpu_ticks(pid)? - before, start.elapsed());
    Ok(())
}

/// Connects, and waits for the greeting's two lines.
fn enter(address: &str) -> std::io::Result<Person> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut greeting, mut byte) = (0, [0]);
    while greeting < 2 {
        stream.read_exact(&mut byte)?;
        greeting += u32::from(byte == *b"\n");
    }
    stream.set_nonblocking(true)?;
    Ok(Person { stream, partial: Vec::new() })
}

fn receive(person: &mut Person, start: Instant, latencies: &mut Vec<u32>) -> std::io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    match person.stream.read(&mut buffer) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => person.partial.extend_from_slice(&buffer[..count]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    }
    let now = start.elapsed().as_micros() as u64;
    let mut taken = 0;
    while let Some(end) = person.partial[taken..].iter().position(|&byte| byte == b'\n') {
        let line = &person.partial[taken..taken + end];
        if let Some(at) = line.iter().position(|&byte| byte == b'@') {
            let digits = line[at + 1..].iter().take_while(|byte| byte.is_ascii_digit());
            let due = digits.fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
            latencies.push((now - due) as u32);
        }
        taken += end + 1;
    }
    person.partial.drain(..taken);
    Ok(())
}

/// CPU time of a process, in hundredths of a second.
fn cpu_ticks(pid: &str) -> std::io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    Ok(fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum())
}

fn report(latencies: &mut [u32], expected: u64, ticks: u64, elapsed: Duration) {
    latencies.sort_unstable();
    let at = |share: f64| match latencies.len() {
        0 => 0,
        count => latencies[((count - 1) as f64 * share) as usize],
    };
    println!(
        "{} of {expected} deliveries in {:.1} s, {:.0} per server CPU second, p50 {} us, p99 {} us",
        latencies.len(),
        elapsed.as_secs_f64(),
        latencies.len() as f64 * 100.0 / ticks.max(1) as f64,
        at(0.5),
        at(0.99),
    );
}
