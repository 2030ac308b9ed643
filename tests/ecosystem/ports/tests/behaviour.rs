//! The services on tokio and on heist do the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROXIES: [&str; 2] = [env!("CARGO_BIN_EXE_proxy_tokio"), env!("CARGO_BIN_EXE_proxy_heist")];
const STORES: [&str; 2] = [env!("CARGO_BIN_EXE_kv_tokio"), env!("CARGO_BIN_EXE_kv_heist")];
/// No test waits for longer.
const GUARD: Duration = Duration::from_secs(60);

/// A service that runs.
struct Service {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Service {
    fn start(program: &str, arguments: &[&str]) -> Service {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Service { child, output, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream
    }

    /// The head and the body of the answer to a request on a connection of its own. On a machine that is
    /// busy with other things heist may refuse a request for overload, and its service does not see it.
    fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        loop {
            let (head, body) = answer(self.send(method, path, body));
            if status(&head) != 503 {
                return (head, body);
            }
        }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = self.connect();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
    }

    /// What it printed since it said where it listens; it has ended by itself.
    fn wait(mut self) -> String {
        let mut output = String::new();
        self.output.read_to_string(&mut output).unwrap();
        assert!(self.child.wait().unwrap().success());
        output
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(mut stream: TcpStream) -> (String, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn has_answer(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let has_answer = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    has_answer
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A peer that greets, and answers with all that it was sent, once that has ended.
fn upstream(connections: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                stream.write_all(b"hi").unwrap();
                let mut received = Vec::new();
                stream.read_to_end(&mut received).unwrap();
                stream.write_all(&received).unwrap();
            });
        }
    });
    address
}

#[test]
fn proxy_passes_on_the_end_of_one_direction_while_the_other_goes_on() {
    for program in PROXIES {
        let upstream = upstream(20).to_string();
        let proxy = Service::start(program, &["127.0.0.1:0", &upstream]);
        let clients: Vec<_> = (0..20_u8)
            .map(|number| {
                let mut client = proxy.connect();
                thread::spawn(move || {
                    let sent = vec![number; 300_000];
                    client.write_all(&sent).unwrap();
                    client.shutdown(Shutdown::Write).unwrap();
                    let mut received = Vec::new();
                    client.read_to_end(&mut received).unwrap();
                    assert!(received.starts_with(b"hi"));
                    assert!(received[2..] == sent, "{} bytes", received.len());
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        proxy.interrupt();
        assert_eq!(proxy.wait(), "relayed 12000040 bytes\n", "{program}");
    }
}

#[test]
fn proxy_finishes_the_connections_that_are_open() {
    for program in PROXIES {
        let upstream = upstream(1).to_string();
        let proxy = Service::start(program, &["127.0.0.1:0", &upstream]);
        let mut client = proxy.connect();
        // The greeting tells that the proxy has the connection.
        client.read_exact(&mut [0; 2]).unwrap();
        proxy.interrupt();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut received = String::new();
        client.read_to_string(&mut received).unwrap();
        assert_eq!(
            (received.as_str(), &*proxy.wait()),
            ("hello", "relayed 12 bytes\n"),
            "{program}"
        );
    }
}

#[test]
fn values_are_stored_read_digested_and_removed() {
    for program in STORES {
        let store = Service::start(program, &["127.0.0.1:0"]);
        assert_eq!(status(&store.ask("GET", "/keys/a", "").0), 404, "{program}");
        assert_eq!(status(&store.ask("PUT", "/keys/a", "one").0), 201);
        assert_eq!(status(&store.ask("PUT", "/keys/a", "two").0), 204);
        assert_eq!(store.ask("GET", "/keys/a", "").1, "two");
        assert_eq!(store.ask("GET", "/keys/a/digest", "").1, "adb135c676eef575\n");
        let (head, statistics) = store.ask("GET", "/statistics", "");
        assert_eq!(status(&head), 200);
        assert!(statistics.starts_with(r#"{"client":"127.0.0.1:"#), "{statistics}");
        assert!(statistics.ends_with(r#","entries":1,"expired":0,"requests":4}"#), "{statistics}");
        assert_eq!(status(&store.ask("DELETE", "/keys/a", "").0), 204);
        assert_eq!(status(&store.ask("GET", "/keys/a", "").0), 404);
        // Refused by its length: the body is not awaited.
        let mut long = store.connect();
        long.write_all(b"PUT /keys/a HTTP/1.1\r\nhost: test\r\nconnection: close\r\n").unwrap();
        long.write_all(b"content-length: 1048577\r\n\r\n").unwrap();
        assert_eq!(status(&answer(long).0), 413);
        store.interrupt();
        assert_eq!(store.wait(), "drained\n");
    }
}

#[test]
fn drain_finishes_the_request_that_is_under_way() {
    for program in STORES {
        let store = Service::start(program, &["127.0.0.1:0"]);
        let mut slow = store.send("GET", "/slow", "");
        while !store.ask("GET", "/statistics", "").1.contains(r#""requests":1"#) {
            if has_answer(&slow) {
                // Refused for overload.
                slow = store.send("GET", "/slow", "");
            }
        }
        store.interrupt();
        assert_eq!(answer(slow).1, "done\n", "{program}");
        assert_eq!(store.wait(), "drained\n");
    }
}
