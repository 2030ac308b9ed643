//! Bounds on connections.

use std::process::Command;

use heist_tests::hang_guard;

use crate::child::{Program, prepare};

/// With 64 descriptors there may be 32 connections.
fn program_with_64_descriptors() -> Program {
    let mut command = Command::new("sh");
    let script = "ulimit -n 64 && exec \"$0\" --listen 127.0.0.1:0 --admin 127.0.0.1:0";
    command.args(["-c", script, env!("CARGO_BIN_EXE_heist")]);
    prepare(&mut command);
    Program::spawn(&mut command)
}

#[test]
fn connection_beyond_the_bound_waits_for_an_end_and_is_then_served() {
    let _guard = hang_guard("bound");
    let program = program_with_64_descriptors();
    let mut clients: Vec<_> = (0..32).map(|_| program.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let mut waiting: Vec<_> = (0..8).map(|_| program.connect()).collect();
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    for client in waiting {
        // It was accepted only because an earlier connection has ended.
        clients.pop();
        let mut client = client;
        assert_eq!(client.response().status, 200);
        let metrics = program.metrics();
        let open =
            ["active", "idle"].map(|state| metrics.value("heist_connections", &[("state", state)]));
        assert!(open[0] + open[1] <= 32.0, "{open:?}");
        assert_eq!(metrics.value("process_max_fds", &[]), 64.0);
    }
}

/// Failure: descriptors run out before the bound on connections is reached.
#[test]
fn bound_beyond_the_descriptors_is_warned_of() {
    let _guard = hang_guard("bound beyond descriptors");
    let mut command = Command::new("sh");
    let script = "ulimit -n 64 && exec \"$0\" --listen 127.0.0.1:0 --max-connections 64";
    command.args(["-c", &format!("{script} --admin none"), env!("CARGO_BIN_EXE_heist")]);
    prepare(&mut command);
    let mut program = Program::spawn(&mut command);
    assert!(program.error_line_with("--max-connections is beyond").contains("descriptors=64"));
}
