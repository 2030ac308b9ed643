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
//! The answer has the stored name of each file, its length in bytes and its time in seconds; `/`
//! has the number of uploads in flight. Each file gets a unique name, so two uploads of one name do
//! not collide. A form is kept as a whole or not at all, unless the server is killed while it
//! renames the files: then the first ones may stay. Until then their names end in `.part`. Ctrl-C
//! lets uploads that are under way finish, for `--grace` seconds.
//!
//! It shows how a service receives large bodies in little memory, and without blocking a worker:
//!
//! - `service.rs`: routes a request, receives its form, answers its failure. The bounds of requests
//!   in length, time and speed are in [`Limits`](heist::server::Limits), and in force by default.
//! - `form.rs`: parts from the request's body. The socket is read only when the form needs more, so
//!   a client can send no faster than the disk writes.
//! - `multipart.rs`, `part.rs`, `header.rs`: parse a form. A part is a file, or a field, or it is
//!   refused with its form.
//! - `upload.rs`, `directory.rs`: the files. Blocking work is done on the blocking pool, a piece at
//!   a time, and the upload moves there with it. Wherever it is dropped, its files are removed.
//! - this file: options, start and end.

mod directory;
mod form;
mod header;
mod multipart;
mod part;
#[path = "../common/program.rs"]
mod program;
mod service;
mod upload;

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use heist::server::{Address, Limits, Listener};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Takes uploads from forms and keeps them in a directory.
#[derive(Parser)]
struct Options {
    /// Where to keep the files; created if it does not exist
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Where to listen: IP:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Address,
    /// The longest body of a request, in MiB
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
    program::run("http_upload", prepare(&options), |(listener, directory, _lock)| {
        serve(&options, listener, directory)
    })
}

fn prepare(options: &Options) -> Result<(Listener, PathBuf, File), Box<dyn Error>> {
    let name = options.directory.display();
    let (directory, lock) = directory::open(&options.directory)
        .map_err(|error| format!("cannot keep files in {name}: {error}"))?;
    Ok((Listener::bind(&options.listen)?, directory, lock))
}

fn serve(options: &Options, listener: Listener, directory: PathBuf) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    // Caught, it lets the write fail that goes beyond `ulimit -f`, instead of ending the server.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default())?;
    let runtime = program::runtime(None)?;
    let limits = limits(options.max_mib);
    let server = service::start(runtime.handle(), listener, limits, directory.into())?;
    program::eprint(greeting(&server.addresses()[0]));

    // The workers serve; this thread only waits.
    signals.forever().next();
    program::drain(&server, Duration::from_secs(options.grace));
    // The blocking pool removes the files of uploads that were cut.
    match runtime.shutdown(Duration::from_secs(10)).threads_left {
        0 => Ok(()),
        left => Err(io::Error::other(format!("{left} threads are stuck")).into()),
    }
}

/// Where uploads differ from other requests.
fn limits(max_mib: u64) -> Limits {
    Limits {
        connections: connections(),
        max_body: max_mib << 20,
        // An upload can wait for its turn: the socket holds the bytes back. After a refusal, all
        // that was sent has to be sent again.
        shed: false,
        // Many clients read the answer only when they have sent all. What they send after a refusal
        // is discarded, for a few seconds.
        linger_bytes: usize::try_from(max_mib << 20).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}

/// A third of the descriptors: an upload has a connection and a file, and the rest is for all else.
///
/// The soft limit is raised to the hard one: it is low for the sake of programs that use `select`.
fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let third = usize::try_from(descriptors / 3).unwrap_or(usize::MAX);
    third.clamp(1, Limits::default().connections)
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
