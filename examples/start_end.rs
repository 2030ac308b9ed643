//! Waiting is free: a server and ten clients in one process, a second for each, ten of them done in
//! about a second, and next to no CPU meanwhile.
//!
//! ```sh
//! cargo run --example start_end
//! cargo run --example start_end -- --clients 500      # in about a second, too
//! ```
//!
//! Read it from [`run`] down. It shows the whole life of a connection with `async` sockets: bind,
//! accept, connect, read, write, sleep, spawn, join. Nothing in it blocks a thread: a task that
//! waits for a socket or for the time is parked, its worker goes to the next one, and a worker with
//! nothing to do sleeps in the kernel. The last line shows what that cost.

#[path = "common/print.rs"]
mod print;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use heist::net::{AcceptErrorKind, TcpListener, TcpStream, accept_error_kind};
use heist::time::sleep;
use nix::sys::resource::{UsageWho, getrusage};

use crate::print::print;

/// A server and its clients in one process, waiting.
#[derive(Parser)]
struct Options {
    /// How many clients come, all at once
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
    clients: u32,
    /// How many seconds the server takes for each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=3600))]
    pause: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `eprintln!` panics where this fails.
            let _ = writeln!(io::stderr(), "start_end: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = heist::Runtime::new()?;
    let pause = Duration::from_secs(options.pause);
    let start = Instant::now();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = heist::spawn(serve(listener, pause));
        // All clients are under way before the first is joined.
        let clients: Vec<_> =
            (1..=options.clients).map(|number| heist::spawn(client(address, number))).collect();
        for client in clients {
            // The outer error is of the task (it panicked), the inner one of the client.
            client.await??;
        }
        // The server would wait for further clients for ever.
        server.abort();
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    let (clients, elapsed, cpu_time) = (options.clients, start.elapsed(), cpu_time()?);
    print(format_args!("{clients} clients in {elapsed:.2?}, {cpu_time:.0?} of CPU"))?;
    Ok(())
}

/// Takes clients for ever, and gives each a task of its own.
async fn serve(listener: TcpListener, pause: Duration) -> io::Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                // Detached: a client that fails ends alone.
                heist::spawn(attend(stream, pause));
            }
            // One connection was lost before it was taken; the others are well.
            Err(error) if accept_error_kind(&error) == AcceptErrorKind::Connection => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes "start" at once and "end" after a pause.
async fn attend(mut stream: TcpStream, pause: Duration) -> io::Result<()> {
    let mut number = [0; 4];
    stream.read_exact(&mut number).await?;
    stream.write_all(b"start").await?;
    sleep(pause).await;
    stream.write_all(b"end").await
}

async fn client(address: SocketAddr, number: u32) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&number.to_be_bytes()).await?;
    let mut word = [0; 5];
    stream.read_exact(&mut word).await?;
    print(format_args!("client {number}: {}", String::from_utf8_lossy(&word)))?;
    // The server closes by dropping its stream; then `read` returns 0.
    let mut rest = Vec::new();
    loop {
        match stream.read(&mut word).await? {
            0 => break,
            count => rest.extend_from_slice(&word[..count]),
        }
    }
    print(format_args!("client {number}: {}", String::from_utf8_lossy(&rest)))
}

/// What all threads of this process have used so far, in the kernel and out of it.
fn cpu_time() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), time.tv_usec().unsigned_abs() as u32 * 1000)
    };
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}
