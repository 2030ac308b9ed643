//! Every signal whose default action kills a process.

use std::process::Command;

use heist_tests::hang_guard;

use crate::child::{PATIENT, Program, own_address, prepare};

/// What the program does on a signal.
enum Does {
    /// It drains, and ends with 0.
    Drain,
    /// It logs a line with these words, and keeps serving.
    Log(&'static str),
    /// It keeps serving and logs nothing.
    Nothing,
}

/// All but SIGUSR2, which `restarting` tests, and those of faults.
fn table() -> Vec<(i32, Does)> {
    let mut table = vec![
        (libc::SIGTERM, Does::Drain),
        (libc::SIGINT, Does::Drain),
        (libc::SIGQUIT, Does::Drain),
        (libc::SIGHUP, Does::Log("nothing to reload")),
        (libc::SIGUSR1, Does::Log("nothing to reload")),
        (libc::SIGPIPE, Does::Nothing),
        (libc::SIGALRM, Does::Nothing),
        (libc::SIGVTALRM, Does::Nothing),
        (libc::SIGPROF, Does::Nothing),
        (libc::SIGIO, Does::Log("signal=SIGIO")),
        (libc::SIGPWR, Does::Log("signal=SIGPWR")),
        (libc::SIGSTKFLT, Does::Log("signal=SIGSTKFLT")),
        (libc::SIGXCPU, Does::Log("signal=SIGXCPU")),
        (libc::SIGXFSZ, Does::Log("signal=SIGXFSZ")),
    ];
    table.extend(
        (libc::SIGRTMIN()..=libc::SIGRTMAX()).map(|signal| (signal, Does::Log("signal=SIGRTMIN+"))),
    );
    table
}

/// Sends a signal by its number; realtime signals have no name.
fn send(program: &Program, signal: i32) {
    let pid = program.pid().as_raw_nonzero().to_string();
    let status = Command::new("kill").arg(format!("-{signal}")).arg(pid).status().unwrap();
    assert!(status.success(), "signal {signal}");
}

/// The program with every signal at its default action, whatever the tests inherited.
fn program() -> Program {
    let mut command = Command::new("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_heist")]);
    command.args(["--listen", &own_address(), "--admin", "none", "--no-shed"]);
    command.args(PATIENT.iter().flat_map(|(flag, value)| [flag, value]));
    prepare(&mut command);
    Program::spawn(&mut command)
}

/// Failure 85: a signal whose default action kills cuts every connection.
#[test]
fn request_in_flight_is_answered_through_each_signal() {
    let _guard = hang_guard("signals");
    let mut survivor = program();
    for (signal, does) in table() {
        let mut ending = matches!(does, Does::Drain).then(program);
        let program = ending.as_mut().unwrap_or(&mut survivor);
        let mut busy = program.connect();
        busy.begin_upload(1);
        send(program, signal);
        match does {
            // The listener is closed once the signal has been handled.
            Does::Drain => while std::net::TcpStream::connect(program.address()).is_ok() {},
            Does::Log(words) => drop(program.error_line_with(words)),
            Does::Nothing => assert_eq!(program.connect().get("/").status, 200),
        }
        busy.send("x");
        assert_eq!(busy.response().status, 200, "signal {signal}");
        if let Some(program) = ending {
            busy.assert_closed();
            let outcome = program.wait();
            assert_eq!(outcome.code, Some(0), "signal {signal}: {outcome:?}");
            assert!(outcome.stdout.contains(", 0 force-closed, "), "{outcome:?}");
        }
    }
    send(&survivor, libc::SIGTERM);
    let outcome = survivor.wait();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stderr.contains("SIGALRM"), "{outcome:?}");
}
