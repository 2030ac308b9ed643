//! Examples whose output cannot be written: they end, or serve on, and never panic.

use std::fs::File;
use std::io::{Read, Write, pipe};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use heist_tests::hang_guard;

use crate::example::command;

/// A short run of each example that prints.
const PRINTING: [(&str, &[&str]); 2] = [
    ("start_end", &["--pause", "0"]),
    ("event_queue", &["--clients", "1", "--kib", "1", "--races", "1"]),
];

/// Exit code and complaints of a program.
fn end_of(command: &mut Command) -> (Option<i32>, String) {
    let outcome = command.output().unwrap();
    (outcome.status.code(), String::from_utf8(outcome.stderr).unwrap())
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn output_that_has_no_reader_ends_in_silence() {
    let _guard = hang_guard("no reader");
    for (name, arguments) in PRINTING {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let end = end_of(command(name).args(arguments).stdout(writer));
        assert_eq!(end, (Some(0), String::new()), "{name}");
    }
}

#[test]
fn output_that_finds_no_space_is_one_complaint() {
    let _guard = hang_guard("no space");
    for (name, arguments) in PRINTING {
        let (code, complaint) = end_of(command(name).args(arguments).stdout(full()));
        assert_eq!((code, complaint.lines().count()), (Some(1), 1), "{complaint}");
        let start = format!("{name}: cannot write to standard output: ");
        assert!(complaint.starts_with(&start), "{complaint}");
        // Nor if the complaint cannot be written either.
        let (code, _) = end_of(command(name).args(arguments).stdout(full()).stderr(full()));
        assert_eq!(code, Some(1), "{name}");
    }
}

#[test]
fn output_that_is_closed_is_no_fault() {
    let _guard = hang_guard("closed output");
    for (name, arguments) in PRINTING {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$0" "$@" >&-"#]).arg(command(name).get_program());
        assert_eq!(end_of(shell.args(arguments)), (Some(0), String::new()), "{name}");
    }
}

/// A server that is killed when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Connects as soon as it listens.
    fn connect(&mut self, address: SocketAddr) -> TcpStream {
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => return stream,
                Err(error) => assert_eq!(self.0.try_wait().unwrap(), None, "{error}"),
            }
        }
    }
}

#[test]
fn server_serves_though_its_greeting_cannot_be_written() {
    let _guard = hang_guard("no greeting");
    // It cannot say where it listens. No other test uses this address of the machine.
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = SocketAddr::from((Ipv4Addr::new(127, 66, high, low), 7000));
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, flags) in [("echo", &[][..]), ("plaintext", &["--listen"]), ("hyper_hello", &[])] {
        let mut command = command(name);
        command.args(flags).arg(address.to_string()).stdout(Stdio::null()).stderr(full());
        let mut server = Server(command.spawn().unwrap());
        let mut stream = server.connect(address);
        stream.write_all(request).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
    }
}
