//! The start: errors, the greeting, and what happens before the first connection.

use std::io::Read;
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use heist_tests::{hang_guard, skipped};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::child::{Program, command, prepare, run};
use heist_tests::http_client::Client;

/// A path for a socket of one test.
pub(crate) fn socket_path(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(format!("{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[track_caller]
pub(crate) fn assert_refused(command: &mut std::process::Command, words: &[&str]) {
    let outcome = run(command);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_eq!(outcome.stdout, "");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(words.iter().all(|word| outcome.stderr.contains(word)), "{outcome:?}");
}

#[test]
fn port_in_use_is_one_line_and_exit_code_2() {
    let _guard = hang_guard("port in use");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(
        command().args(["--listen", &address, "--admin", "none"]),
        &[&address, "in use"],
    );
}

#[test]
fn what_cannot_be_read_is_one_line_and_exit_code_2() {
    let _guard = hang_guard("bad options");
    assert_refused(command().arg("--frobnicate"), &["--frobnicate"]);
    assert_refused(command().args(["--listen", "nowhere"]), &["--listen", "nowhere"]);
    assert_refused(command().args(["--max-body", "lots"]), &["--max-body", "lots"]);
    assert_refused(command().args(["--grace", "30"]), &["--grace", "30"]);
    assert_refused(command().args(["--workers", "0"]), &["--workers"]);
    assert_refused(command().args(["--log-format", "xml"]), &["--log-format", "xml"]);
    assert_refused(command().args(["serve", "again"]), &["again"]);
    let mut anywhere = command();
    anywhere.args(["--listen", "127.0.0.1:0", "--admin", "none"]);
    assert_refused(anywhere.env("HEIST_WORKERS", "many"), &["HEIST_WORKERS", "many"]);
    assert_refused(anywhere.env("HEIST_WORKERS", "0"), &["HEIST_WORKERS", "from 1"]);
    assert_refused(anywhere.env("HEIST_WORKERS", "100000"), &["HEIST_WORKERS", "at most 1024"]);
    anywhere.env_remove("HEIST_WORKERS");
    assert_refused(anywhere.env("RUST_LOG", "infoo"), &["RUST_LOG", "infoo"]);
    assert_refused(anywhere.env("RUST_LOG", "a=b=c"), &["RUST_LOG", "a=b=c"]);
}

/// The binary under a limit of `limit` open files.
fn with_descriptors(limit: u32, admin: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {limit}; exec \"$0\" --listen 127.0.0.1:0 --admin {admin}");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_heist")]);
    prepare(&mut shell);
    shell
}

/// Failure: the program fails to start with an undocumented exit code, or without advice.
#[test]
fn too_few_descriptors_are_named_with_the_limit_and_exit_code_2() {
    let _guard = hang_guard("few descriptors");
    // Each limit makes another step of the start fail.
    let mut limit = 4;
    loop {
        let mut child = with_descriptors(limit, "127.0.0.1:0").spawn().unwrap();
        let mut greeting = [0];
        // The first byte arrives once it serves.
        if child.stdout.take().unwrap().read(&mut greeting).unwrap() == 1 {
            child.kill().unwrap();
            child.wait().unwrap();
            break;
        }
        let outcome = child.wait_with_output().unwrap();
        let line = String::from_utf8(outcome.stderr).unwrap();
        assert_eq!(outcome.status.code(), Some(2), "{limit}: {line}");
        // Below that, the loader or the standard library may fail first.
        if limit >= 6 {
            let words = format!("may open {limit} files");
            assert!(line.contains(&words) && line.contains("ulimit -n"), "{limit}: {line}");
        }
        limit += 1;
    }
    assert!(limit > 12, "served with {limit} descriptors: nothing was tested");
}

/// Failure: the message speaks of ports and addresses where a file is in the way.
#[test]
fn what_is_in_the_way_of_a_unix_socket_is_named() {
    let _guard = hang_guard("in the way");
    let path = socket_path("in-the-way");
    let address = format!("unix:{}", path.display());
    let refused = |what: &str| {
        assert_refused(
            command().args(["--listen", &address, "--admin", "none"]),
            &[&address, what],
        );
    };
    std::fs::write(&path, "precious").unwrap();
    refused("a regular file is there");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("a directory is there");
    std::fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
    refused("a symbolic link is there");
    std::fs::remove_file(&path).unwrap();
    let mut missing = command();
    missing.args(["--listen", "unix:/nowhere/at/all", "--admin", "none"]);
    assert_refused(&mut missing, &["there is no directory /nowhere/at"]);
    let mut file = command();
    file.args(["--listen", "unix:/dev/null/x", "--admin", "none"]);
    assert_refused(&mut file, &["/dev/null is no directory"]);
}

#[test]
fn directory_without_permission_is_named() {
    let _guard = hang_guard("permission");
    let directory = socket_path("locked");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o500)).unwrap();
    let address = format!("unix:{}/socket", directory.display());
    let probe = std::fs::write(directory.join("probe"), "");
    if probe.is_ok() {
        skipped("directory_without_permission_is_named", "a user other than root");
    } else {
        let mut command = command();
        command.args(["--listen", &address, "--admin", "none"]);
        assert_refused(&mut command, &["no permission", &directory.display().to_string()]);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn address_given_twice_is_named() {
    let _guard = hang_guard("twice");
    let twice = ["--listen", "127.0.0.1:1", "--admin", "127.0.0.1:1"];
    assert_refused(command().args(twice), &["127.0.0.1:1 is given twice"]);
}

#[test]
fn missing_passed_sockets_are_exit_code_2() {
    let _guard = hang_guard("no sockets passed");
    let mut shell = Command::new("sh");
    let script = "export LISTEN_FDS=3 LISTEN_PID=$$; exec \"$0\" --admin none 3<&- 4<&- 5<&-";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_heist")]);
    prepare(&mut shell);
    assert_refused(&mut shell, &["LISTEN_FDS", "unset"]);
}

/// Failure: an empty RUST_LOG, as a unit file may set it, silences the log.
#[test]
fn empty_filter_is_that_of_an_unset_one() {
    let _guard = hang_guard("empty RUST_LOG");
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0", "--admin", "none"]).env("RUST_LOG", "");
    let program = Program::spawn(&mut command);
    program.signal(Signal::TERM);
    assert!(program.wait().stderr.contains("draining"));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let _guard = hang_guard("help");
    let help = run(command().arg("--help"));
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("--max-body"), "{}", help.stdout);
    assert_eq!(run(command().arg("--version")).code, Some(0));
}

#[test]
fn port_0_becomes_a_real_one_in_the_greeting() {
    let _guard = hang_guard("port 0");
    let program = Program::spawn(command().args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "2",
        "--admin",
        "none",
    ]));
    let address = program.address();
    assert_ne!(address.port(), 0);
    let expected =
        format!("heist serving on http://{address}/ (2 workers); try: curl http://{address}/\n");
    assert_eq!(program.greeting, expected);
    assert_eq!(program.connect().get("/").status, 200);
}

#[test]
fn workers_of_the_environment_win() {
    let _guard = hang_guard("workers of the environment");
    let mut command = command();
    command
        .args(["--listen", "127.0.0.1:0", "--workers", "2", "--admin", "none"])
        .env("HEIST_WORKERS", "3");
    assert!(Program::spawn(&mut command).greeting.contains("(3 workers)"));
}

#[test]
fn ipv6_and_ipv4_listen_side_by_side_on_one_port() {
    let _guard = hang_guard("both families");
    let Some((_held, port)) = hold_a_port() else {
        skipped("ipv6_and_ipv4_listen_side_by_side_on_one_port", "IPv6 on loopback");
        return;
    };
    let (v6, v4) = (format!("[::]:{port}"), format!("0.0.0.0:{port}"));
    let program =
        Program::spawn(command().args(["--listen", &v6, "--listen", &v4, "--admin", "none"]));
    assert_eq!(Client::connect(([127, 0, 0, 1], port).into()).get("/").status, 200);
    assert_eq!(Client::connect((Ipv6Addr::LOCALHOST, port).into()).get("/").status, 200);
    drop(program);
}

/// A port of both families that the system gives to no other socket while the two are held, and on
/// which a program can listen. `None` without IPv6.
fn hold_a_port() -> Option<([Socket; 2], u16)> {
    let held = |domain, address: SocketAddr| {
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.into()).map(|()| socket)
    };
    loop {
        let v6 = held(Domain::IPV6, (Ipv6Addr::LOCALHOST, 0).into()).ok()?;
        let port = v6.local_addr().unwrap().as_socket().unwrap().port();
        // Unless that port is another socket's.
        if let Ok(v4) = held(Domain::IPV4, ([127, 0, 0, 1], port).into()) {
            return Some(([v6, v4], port));
        }
    }
}

#[test]
fn unix_socket_serves_and_its_file_goes_with_the_server() {
    let _guard = hang_guard("unix socket");
    let path = socket_path("serves");
    let address = format!("unix:{}", path.display());
    let program = Program::spawn(command().args(["--listen", &address, "--admin", "none"]));
    assert!(program.greeting.contains(&format!("--unix-socket {}", path.display())));
    assert_eq!(Client::connect_unix(&path).get("/").status, 200);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code, Some(0));
    assert!(!path.exists(), "the socket's file is still there");
}

#[test]
fn stale_socket_file_is_replaced_and_a_living_one_is_not() {
    let _guard = hang_guard("stale socket");
    let path = socket_path("stale");
    let address = format!("unix:{}", path.display());
    let living = UnixListener::bind(&path).unwrap();
    assert_refused(
        command().args(["--listen", &address, "--admin", "none"]),
        &[&address, "in use"],
    );
    assert!(path.exists(), "the file of a living socket was removed");
    // Each child that another test starts at this moment holds the socket for a while.
    UnixStream::from(OwnedFd::from(living)).shutdown(Shutdown::Both).unwrap();
    let program = Program::spawn(command().args(["--listen", &address, "--admin", "none"]));
    assert_eq!(Client::connect_unix(&path).get("/").status, 200);
    drop(program);
}

#[test]
fn file_that_is_no_socket_is_left_alone() {
    let _guard = hang_guard("no socket");
    let path = socket_path("precious");
    std::fs::write(&path, "precious").unwrap();
    let address = format!("unix:{}", path.display());
    assert_refused(command().args(["--listen", &address, "--admin", "none"]), &[&address]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
}
