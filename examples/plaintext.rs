//! The smallest HTTP server that a benchmark can load, on the sans-IO engine:
//! `cargo run --release --example plaintext -- --workers 2 --listen 127.0.0.1:8080`.
//!
//! It answers every GET with `Hello, World!`, keeps connections alive, and takes pipelined
//! requests. `GET /block?ms=5` blocks its worker for that long first: what a server must never do,
//! to measure what it does to the others. For real HTTP, see the example `hyper_hello`.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use heist::Server;
use heist::protocol::{Context, Error, Protocol};
use heist::server::{Limits, Listener};

struct Plaintext;

impl Protocol for Plaintext {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let Some(length) = head_length(input) else {
            return Ok(0);
        };
        let head = &input[..length];
        // Without bodies, the end of a head is the end of a request.
        if !head.starts_with(b"GET ") {
            cx.write(NOT_ALLOWED);
            cx.close();
            return Ok(length);
        }
        if let Some(time) = block_time(head) {
            thread::sleep(time);
        }
        cx.write(HELLO);
        Ok(length)
    }
}

/// Length of the request's head, its empty line included, if that is there.
fn head_length(input: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(newline) = input[from..].iter().position(|&byte| byte == b'\n') {
        let end = from + newline + 1;
        if input[..end].ends_with(b"\r\n\r\n") {
            return Some(end);
        }
        from = end;
    }
    None
}

/// How long `GET /block?ms=…` asks to block, up to a second.
fn block_time(head: &[u8]) -> Option<Duration> {
    let rest = head.strip_prefix(b"GET /block?ms=")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    let millis = digits.fold(0_u64, |sum, byte| (sum * 10 + u64::from(byte - b'0')).min(1000));
    Some(Duration::from_millis(millis))
}

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n\
    Hello, World!";

const NOT_ALLOWED: &[u8] = b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = heist::Builder::new();
    let mut address = "127.0.0.1:8080".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or("usage: plaintext [--workers N] [--listen ADDRESS]")?;
        match flag.as_str() {
            "--workers" => builder = builder.workers(value.parse()?),
            "--listen" => address = value,
            _ => return Err(format!("unknown option {flag}").into()),
        }
    }
    let listener = Listener::tcp(address.parse()?)?;
    // This server is made to be loaded, so it refuses no connection.
    let limits = Limits { shed: false, ..Limits::default() };
    builder.start()?.block_on(async {
        let server =
            Server::builder().listen(listener).limits(limits).protocol(|_| Plaintext).start()?;
        // Not `eprintln!`, which panics where this fails: the server works without the message.
        let _ = writeln!(io::stderr(), "serving on http://{}/", server.addresses()[0]);
        pending().await
    })
}
