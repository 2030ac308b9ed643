//! What the contenders share: the handler, the command line, and the scheduler's workloads.
//!
//! Every server here answers the same requests with the same bytes:
//!
//! - `GET /`: at once;
//! - `GET /block`: after blocking its thread for [`BLOCK`];
//! - `GET /sleep/MICROSECONDS`: after sleeping in the kernel for so long, on its thread: a core that
//!   is busy without being one;
//! - `GET /close`: at once, then the server closes.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

pub mod runtime;
pub mod server;
pub mod tasks;
pub mod timers;
pub mod tls;
pub mod wake;
pub mod web;

/// What became of some input.
pub struct Answered {
    /// How many of its bytes were whole requests.
    pub taken: usize,
    /// Whether the connection ends once the answers are written.
    pub close: bool,
}

/// Answers every whole request in `input`.
pub fn answer(input: &[u8], output: &mut Vec<u8>) -> Answered {
    let mut taken = 0;
    while let Some(end) = head_end(&input[taken..]) {
        let head = &input[taken..taken + end];
        taken += end;
        if !head.starts_with(b"GET / ") && work(head) {
            output.extend_from_slice(LAST_ANSWER);
            return Answered { taken, close: true };
        }
        output.extend_from_slice(ANSWER);
    }
    Answered { taken, close: false }
}

fn head_end(input: &[u8]) -> Option<usize> {
    input.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Does what a request other than the plain one asks for; whether it is the last of its connection.
#[cold]
fn work(head: &[u8]) -> bool {
    if head.starts_with(b"GET /block") {
        occupy(BLOCK);
    } else if let Some(rest) = head.strip_prefix(b"GET /sleep/") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let micros = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        occupy(Duration::from_micros(micros));
    }
    head.starts_with(b"GET /close")
}

/// Sleeps in the kernel, not up to 50 µs longer as threads do by default: at 90 % load that alone
/// would make four emulated cores a tenth slower than what they are compared with.
pub(crate) fn occupy(time: Duration) {
    thread_local! {
        static PUNCTUAL: () = {
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        };
    }
    PUNCTUAL.with(|()| std::thread::sleep(time));
}

/// `WORKERS ADDRESS` from the command line.
pub fn arguments() -> (usize, SocketAddr) {
    let mut arguments = std::env::args().skip(1);
    let workers = arguments.next().and_then(|text| text.parse().ok());
    let address = arguments.next().and_then(|text| text.parse().ok());
    match (workers, address) {
        (Some(workers), Some(address)) => (workers, address),
        _ => {
            eprintln!("usage: PROGRAM WORKERS ADDRESS, such as 2 127.0.0.1:7001");
            std::process::exit(2)
        }
    }
}

/// Lets as many connections wait at `listener` as at the other servers': std's default is 128.
pub fn deepen(listener: impl AsFd) -> std::io::Result<()> {
    Ok(rustix::net::listen(listener, 4096)?)
}

/// What a request for `/block` costs its thread.
pub const BLOCK: Duration = Duration::from_millis(5);

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const LAST_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 13\r\n\r\nHello, World!";
