//! Takes uploads from forms, many and slow and large ones at once, and keeps them in a directory.
//!
//! ```sh
//! cargo run --example http_upload -- --directory /tmp/uploads
//! curl --form file=@README.md http://127.0.0.1:8080/upload      # from another terminal
//! curl --form a=@README.md --form b=@Cargo.toml http://127.0.0.1:8080/upload
//! head -c 1G /dev/zero | curl --form 'file=@-;filename=zero' http://127.0.0.1:8080/upload &
//! kill $!; ls -A /tmp/uploads                                   # nothing of it is left
//! ```
//!
//! The answer says where each file is, how long it is, and how long it took. A form is kept as a
//! whole or not at all, and while it comes, its files have names that end in `.part`. Ctrl-C lets
//! uploads that are under way finish, for `--grace` seconds.
//!
//! It shows how a service takes in much without holding much, and blocks nobody by doing so:
//!
//! - `service.rs`: a request is routed, its form received, its failure answered. All that bounds a
//!   request in length, time and speed is in [`Limits`](heist::server::Limits), and in force.
//! - `form.rs`: a stream of parts from the request's body. Nothing is read from the socket before it
//!   is asked for, so a client can send no faster than the disk writes.
//! - `upload.rs`: the files. What blocks is done on the blocking pool, a piece at a time, and the
//!   upload goes there with it. Wherever it is when it is dropped, its files go too.
//! - this file: from the options to the end.

mod form;
mod service;
mod upload;

use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use heist::Runtime;
use heist::server::{Address, Limits, Listener};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Takes uploads from forms and keeps them in a directory.
#[derive(Parser)]
struct Options {
    /// Where to keep what comes; made if it is not there
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Where to listen: IP:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Address,
    /// The most that one request may bring, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_mib: u64,
    /// How many seconds uploads may still take after Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=3600))]
    grace: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // What can fail for a reason of the user's comes first, before any thread.
    let listener = match prepare(&options) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("http_upload: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&options, listener) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_upload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(options: &Options) -> Result<Listener, Box<dyn Error>> {
    let directory = options.directory.as_path();
    let usable = fs::create_dir_all(directory).and_then(|()| tempfile::tempfile_in(directory));
    usable.map_err(|error| format!("cannot keep files in {}: {error}", directory.display()))?;
    Ok(Listener::bind(&options.listen)?)
}

fn run(options: &Options, listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let runtime = Runtime::new()?;
    let limits = limits(options.max_mib);
    let directory = options.directory.as_path().into();
    let server = service::start(runtime.handle(), listener, limits, directory)?;
    eprintln!("{}", greeting(&server.addresses()[0]));

    // The workers serve; this thread has nothing to do but wait.
    signals.forever().next();
    eprintln!("stopped: {}", server.drain_blocking(Duration::from_secs(options.grace)));
    // What was cut has its files removed by the blocking pool, which gets the time for it.
    match runtime.shutdown(Duration::from_secs(10)).threads_left {
        0 => Ok(()),
        left => Err(io::Error::other(format!("{left} threads are stuck")).into()),
    }
}

/// What uploads need otherwise than other requests.
fn limits(max_mib: u64) -> Limits {
    Limits {
        max_body: max_mib << 20,
        // Who uploads can wait for a turn: the socket holds the bytes back. To be refused when it is
        // their turn would cost more, all that was sent in the meantime.
        shed: false,
        ..Limits::default()
    }
}

/// What to type to try it.
fn greeting(address: &Address) -> String {
    match address {
        Address::Tcp(address) => {
            format!("ready; try: curl --form file=@README.md http://{address}/upload")
        }
        Address::Unix(path) => format!(
            "ready; try: curl --unix-socket {} --form file=@README.md http://localhost/upload",
            path.display()
        ),
        Address::Abstract(name) => format!(
            "ready; try: curl --abstract-unix-socket {} --form file=@README.md http://localhost/upload",
            String::from_utf8_lossy(name)
        ),
    }
}
