//! The PROXY protocol, as curl and haproxy speak it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use heist_tests::{hang_guard, has_tool};
use serde_json::Value;

use crate::child::{Program, own_address, run};
use heist_tests::http_client::Client;

/// The program with an access log, which trusts the proxies of this machine.
struct Logged {
    program: Program,
    path: PathBuf,
}

impl Logged {
    fn start(name: &str, options: &[&str]) -> Logged {
        let name = format!("proxy-{name}-{}.log", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_file(&path);
        let log = ["--access-log", path.to_str().unwrap(), "--access-log-format", "json"];
        Logged { program: Program::start(&[&log, options].concat()), path }
    }

    /// The peers of the first `count` requests.
    fn peers(&self, count: usize) -> Vec<String> {
        loop {
            let text = fs::read_to_string(&self.path).unwrap();
            if text.ends_with('\n') && text.lines().count() >= count {
                let line = |line| serde_json::from_str::<Value>(line).unwrap();
                return text
                    .lines()
                    .map(|text| line(text)["peer"].as_str().unwrap().into())
                    .collect();
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn client_behind_a_proxy_is_logged_and_bounded() {
    let _guard = hang_guard("client behind a proxy");
    let options =
        ["--proxy-protocol-from", "10.0.0.0/8,127.0.0.0/8", "--max-connections-per-address", "1"];
    let logged = Logged::start("client", &options);
    let mut clients: Vec<_> = (1..=3)
        .map(|n| {
            let mut client = logged.program.connect();
            client.send(format!("PROXY TCP4 192.0.2.{n} 198.51.100.2 4321 443\r\n"));
            assert_eq!(client.get("/").status, 200);
            // Another connection's line could overtake this one's.
            assert_eq!(logged.peers(n).len(), n);
            client
        })
        .collect();
    assert_eq!(logged.peers(3), ["192.0.2.1:4321", "192.0.2.2:4321", "192.0.2.3:4321"]);
    let mut refused = logged.program.connect();
    refused.send("PROXY TCP4 192.0.2.1 198.51.100.2 4322 443\r\n");
    refused.assert_closed();
    let reason = [("reason", "per_address")];
    let metrics = logged.program.metrics();
    assert_eq!(metrics.value("heist_connections_refused_total", &reason), 1.0);
    clients.clear();
    // The admin listener takes no header.
    assert_eq!(Client::connect(logged.program.admin()).get("/readyz").status, 200);
}

#[test]
fn curl_sends_a_header_that_is_read() {
    let _guard = hang_guard("curl behind a proxy");
    if !has_tool("curl_sends_a_header_that_is_read", "curl", "curl") {
        return;
    }
    let logged = Logged::start("curl", &["--proxy-protocol-from", "127.0.0.0/8"]);
    let url = format!("http://{}/", logged.program.address());
    let curl = |arguments: &[&str]| {
        let base = ["--silent", "--max-time", "60", url.as_str()];
        run(Command::new("curl").args(base).args(arguments))
    };
    assert!(curl(&["--haproxy-protocol"]).stdout.contains("This is heist"));
    assert!(logged.peers(1)[0].starts_with("127.0.0.1:"));
    // Without its header a trusted proxy is closed: nothing was read, or a reset came.
    assert!(matches!(curl(&[]).code, Some(52 | 56)));
    // It is counted when it is closed, and curl may be first to see that.
    let reason = [("reason", "handshake")];
    while logged.program.metrics().value("heist_connections_closed_total", &reason) != 1.0 {}
}

/// haproxy in front of the program; ended when it is dropped.
struct Haproxy(Child, PathBuf);

impl Haproxy {
    /// Listens at each of `addresses`, with the options of the server line beside it.
    fn start(heist: &str, addresses: &[(SocketAddr, &str)]) -> Haproxy {
        let name = format!("haproxy-{}.cfg", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut text =
            "defaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n"
                .to_owned();
        for (address, send) in addresses {
            let name = address.port();
            text += &format!("listen at{name}\n bind {address}\n server heist {heist} {send}\n");
        }
        fs::write(&path, text).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-q").arg("-f").arg(&path);
        Haproxy(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), path)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_file(&self.1);
    }
}

#[test]
fn clients_of_haproxy_are_told_in_both_versions() {
    let _guard = hang_guard("haproxy");
    if !has_tool("clients_of_haproxy_are_told_in_both_versions", "haproxy", "haproxy") {
        return;
    }
    let logged = Logged::start("haproxy", &["--proxy-protocol-from", "127.0.0.0/8"]);
    let heist = logged.program.address().to_string();
    // No other test gets the ports, as the address is this test's own.
    let own = own_address();
    let listeners = [(); 2].map(|()| TcpListener::bind(&own).unwrap());
    let addresses = [0, 1].map(|index| listeners[index].local_addr().unwrap());
    drop(listeners);
    let versions = [(addresses[0], "send-proxy"), (addresses[1], "send-proxy-v2")];
    let _haproxy = Haproxy::start(&heist, &versions);
    let mut peers = Vec::new();
    for address in addresses {
        // It listens soon.
        let mut client = loop {
            match TcpStream::connect(address) {
                Ok(client) => break client,
                Err(_) => std::thread::yield_now(),
            }
        };
        peers.push(client.local_addr().unwrap().to_string());
        let mut answer = String::new();
        client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(logged.peers(2), peers);
}
