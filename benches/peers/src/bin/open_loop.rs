//! An open-loop load: requests at a fixed rate, whatever the answers do, and latency from the
//! moment each was due. One request in a thousand asks for `/block`.
//!
//! `open_loop RATE CONNECTIONS SECONDS ADDRESS`

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const BLOCK: &[u8] = b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n";
const ANSWER: usize = 78;

struct Client {
    stream: TcpStream,
    due: VecDeque<Instant>,
    received: usize,
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rate, connections, seconds, address] = &arguments[..] else {
        eprintln!("usage: open_loop RATE CONNECTIONS SECONDS ADDRESS");
        std::process::exit(2)
    };
    let number = |text: &String| text.parse::<u64>().map_err(std::io::Error::other);
    let (rate, connections, seconds) = (number(rate)?, number(connections)?, number(seconds)?);
    let mut clients = Vec::new();
    // SAFETY: takes no pointer.
    let epoll = unsafe { libc::epoll_create1(0) };
    for index in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index };
        // SAFETY: `event` lives through the call.
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &mut event) };
        clients.push(Client { stream, due: VecDeque::new(), received: 0 });
    }
    let mut latencies: Vec<u64> = Vec::with_capacity((rate * seconds) as usize);
    let gap = Duration::from_nanos(1_000_000_000 / rate);
    let (start, total) = (Instant::now(), rate * seconds);
    let mut sent = 0;
    while (latencies.len() as u64) < total && start.elapsed() < Duration::from_secs(seconds + 10) {
        let due = start + gap * sent as u32;
        if sent < total && Instant::now() >= due {
            let client = &mut clients[(sent % connections) as usize];
            client.stream.write_all(if sent % 1000 == 999 { BLOCK } else { PLAIN })?;
            client.due.push_back(due);
            sent += 1;
            continue;
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        // SAFETY: the buffer holds as many events as are asked for.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 64, 0) };
        for event in &events[..count.max(0) as usize] {
            let index = event.u64 as usize;
            receive(&mut clients[index], &mut latencies)?;
        }
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] / 1_000;
    println!(
        "{} answers, p50 {} us, p99 {} us, p99.9 {} us",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(0.999)
    );
    Ok(())
}

fn receive(client: &mut Client, latencies: &mut Vec<u64>) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    match client.stream.read(&mut buffer) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => client.received += count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    while client.received >= ANSWER {
        client.received -= ANSWER;
        if let Some(due) = client.due.pop_front() {
            latencies.push(due.elapsed().as_nanos() as u64);
        }
    }
    Ok(())
}
