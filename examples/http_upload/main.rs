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
//! The answer says under which name each file is kept, how long it is, and how many seconds it took;
//! `/` says how many uploads are in flight. Each file gets a name of its own, so two uploads of one
//! name never meet. A form is kept as a whole or not at all, and while it comes, its files have names
//! that end in `.part`. Ctrl-C lets uploads that are under way finish, for `--grace` seconds.
//!
//! It shows how a service takes in much without holding much, and blocks no worker by doing so:
//!
//! - `service.rs`: a request is routed, its form received, its failure answered. All that bounds a
//!   request in length, time and speed is in [`Limits`](heist::server::Limits), and in force.
//! - `form.rs`: parts from the request's body. Nothing is read from the socket before it is asked
//!   for, so a client can send no faster than the disk writes.
//! - `multipart.rs`, `part.rs`, `header.rs`: a form is taken apart. A part is a file, or it is none,
//!   or the form is refused.
//! - `upload.rs`, `directory.rs`: the files. What blocks is done on the blocking pool, a piece at a
//!   time, and the upload goes there with it. Wherever it is when it is dropped, its files go too.
//! - this file: from the options to the end.

mod directory;
mod form;
mod header;
mod multipart;
mod part;
mod service;
mod upload;

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
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
    let (listener, _lock) = match prepare(&options) {
        Ok(prepared) => prepared,
        Err(error) => {
            complain(format_args!("http_upload: {error}"));
            return ExitCode::from(2);
        }
    };
    match run(&options, listener) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("http_upload: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// As `eprintln!`, which panics where that cannot be written.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn prepare(options: &Options) -> Result<(Listener, File), Box<dyn Error>> {
    let directory = options.directory.as_path();
    let lock = directory::open(directory)
        .map_err(|error| format!("cannot keep files in {}: {error}", directory.display()))?;
    Ok((Listener::bind(&options.listen)?, lock))
}

fn run(options: &Options, listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    // Caught, it lets the write fail that goes beyond `ulimit -f`, instead of ending the server.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default())?;
    let runtime = Runtime::new()?;
    let limits = limits(options.max_mib);
    let directory = options.directory.as_path().into();
    let server = service::start(runtime.handle(), listener, limits, directory)?;
    complain(format_args!("{}", greeting(&server.addresses()[0])));

    // The workers serve; this thread has nothing to do but wait.
    signals.forever().next();
    let report = server.drain_blocking(Duration::from_secs(options.grace));
    complain(format_args!("stopped: {report}"));
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
        // An upload can wait for its turn: the socket holds the bytes back. A refusal would cost
        // more: all that was sent in the meantime.
        shed: false,
        // Many clients look for an answer only when they have sent all. What they send after a
        // refusal is discarded, for a few seconds.
        linger_bytes: usize::try_from(max_mib << 20).unwrap_or(usize::MAX),
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
