//! A PostgreSQL server for a test.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::server_process::{Log, ServerProcess};

/// A server of PostgreSQL with a cluster of its own, on a Unix socket and no port. The user `postgres` needs
/// no password.
#[derive(Debug)]
pub struct Postgres {
    // Ended before its directory is removed.
    _process: ServerProcess,
    directory: TempDir,
}

impl Postgres {
    /// Starts one for `test`; `None`, and a line that says so, where it is not installed.
    ///
    /// It refuses to run as root; there it is started as the user `postgres`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(test: &str) -> Option<Postgres> {
        let Some(programs) = programs() else {
            // Says so, or fails where all programs are required.
            for tool in ["initdb", "postgres"] {
                heist_tests::has_tool(test, tool, "postgresql");
            }
            return None;
        };
        let directory = TempDir::new().expect("a temporary directory can be made");
        let data = directory.path().join("data");
        let owner = Owner::of(directory.path());
        let mut initdb = owner.command(&programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--no-locale"]);
        initdb.arg("--encoding=UTF8").arg("--pgdata").arg(&data);
        let output = initdb.output().expect("initdb was found before");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let mut postgres = owner.command(&programs.join("postgres"));
        postgres.arg("-D").arg(&data).arg("-k").arg(directory.path());
        postgres.args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        // Its fast shutdown, which does not wait for clients.
        let process = ServerProcess::start(postgres, Log::Error, Signal::INT);
        process.await_line("ready to accept connections").expect("postgres ended at its start");
        Some(Postgres { _process: process, directory })
    }

    /// The directory with the socket: the host of a client's settings.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// The socket itself.
    #[must_use]
    pub fn unix_socket(&self) -> PathBuf {
        self.directory.path().join(".s.PGSQL.5432")
    }
}

/// The user that the server runs as, where that is not the user of the test.
struct Owner(Option<(u32, u32)>);

impl Owner {
    /// Gives `directory` to that user.
    fn of(directory: &Path) -> Owner {
        let made_by = fs::metadata(directory).expect("the directory was made before").uid();
        if made_by != ROOT {
            return Owner(None);
        }
        let (user, group) = postgres_user().expect("the package postgresql adds its user");
        chown(directory, Some(user), Some(group)).expect("root may give a directory away");
        Owner(Some((user, group)))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        if let Owner(Some((user, group))) = *self {
            command.uid(user).gid(group);
        }
        command
    }
}

/// Where the programs of the server are: in the search path, or where Debian has them, the newest.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let complete =
        |place: &PathBuf| place.join("initdb").exists() && place.join("postgres").exists();
    std::env::split_paths(&path).chain(debian.into_iter().rev()).find(complete)
}

/// The numbers of the user `postgres` and of its group.
fn postgres_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

const ROOT: u32 = 0;
