//! What is said and done before the first connection.

use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use heist_tests::hang_guard;
use rustix::process::Signal;

use crate::child::{Program, command, run};
use crate::client::Client;

/// A path for a socket that is nobody else's.
pub(crate) fn socket_path(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(format!("{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[track_caller]
fn assert_refused(command: &mut std::process::Command, words: &[&str]) {
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
    anywhere.env_remove("HEIST_WORKERS");
    assert_refused(anywhere.env("RUST_LOG", "a=b=c"), &["RUST_LOG", "a=b=c"]);
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
    let Ok(probe) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("SKIPPED both families: needs IPv6 on the loopback interface");
        return;
    };
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let (v6, v4) = (format!("[::]:{port}"), format!("0.0.0.0:{port}"));
    let program =
        Program::spawn(command().args(["--listen", &v6, "--listen", &v4, "--admin", "none"]));
    assert_eq!(Client::connect(([127, 0, 0, 1], port).into()).get("/").status, 200);
    assert_eq!(Client::connect((Ipv6Addr::LOCALHOST, port).into()).get("/").status, 200);
    drop(program);
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
    drop(living);
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
