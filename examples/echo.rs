//! An echo server with `async` sockets: `cargo run --example echo`, then `nc 127.0.0.1 7000`.
//!
//! The server accepts; each connection is a task that reads and writes. All its
//! [`Limits`](heist::server::Limits) are in force: a connection that is idle for a minute is
//! closed. Ctrl-C and SIGTERM drain it.

use std::error::Error;
use std::io::{self, Write};

use heist::net::Stream;
use heist::server::Listener;
use heist::{Server, signal};

#[heist::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:7000".into()).parse()?;
    let listener = Listener::tcp(address)?;
    // From here on the signals no longer end the process by themselves.
    let stop = signal::terminate();
    let server =
        Server::builder().listen(listener).handler(|stream, _peer| echo(stream)).start()?;
    // Not `eprintln!`, which panics where this fails: the server works without the message.
    let _ = writeln!(io::stderr(), "echoing on {}", server.addresses()[0]);
    let report = server.run_until(stop).await;
    let _ = writeln!(io::stderr(), "stopped: {report}");
    Ok(())
}

async fn echo(mut stream: Stream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}
