//! The handler that every contender runs: HTTP/1.1 plaintext, with pipelining.

use std::net::SocketAddr;
use std::time::Duration;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

/// Answers every whole request in `input` and returns how many bytes they took.
pub fn answer(input: &[u8], output: &mut Vec<u8>) -> usize {
    let mut taken = 0;
    while let Some(end) = head_end(&input[taken..]) {
        let head = &input[taken..taken + end];
        if head.starts_with(b"GET /block") {
            std::thread::sleep(BLOCK);
        }
        output.extend_from_slice(ANSWER);
        taken += end;
    }
    taken
}

fn head_end(input: &[u8]) -> Option<usize> {
    input.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// What a request for `/block` costs its thread.
pub const BLOCK: Duration = Duration::from_millis(5);

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
