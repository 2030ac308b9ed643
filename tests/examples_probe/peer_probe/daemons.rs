//! Real clients and a real tracker, on addresses of this test's own.
//!
//! They cannot be told to take any free port and say which. So each gets a loopback address that
//! no other process is likely to use, made from this process's id, and a port that is free there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A child process; killed when it is dropped.
pub(super) struct Daemon {
    child: Child,
    /// Where it listens for peers, or for HTTP.
    pub(super) address: SocketAddr,
}

impl Daemon {
    fn spawn(command: &mut Command, address: SocketAddr) -> Daemon {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Daemon { child: command.spawn().unwrap(), address }
    }

    /// A tracker that knows of `info_hash` alone, given in hexadecimal digits; the `number`th program of
    /// this process.
    pub(super) fn opentracker(folder: &Path, number: u8, info_hash: &str) -> Daemon {
        let address = free(own_address(number));
        // It changes to another user, and looks for the list from inside of its folder.
        let folder = folder.join("tracker");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("allowed"), format!("{info_hash}\n")).unwrap();
        let mut command = Command::new("opentracker");
        let port = address.port().to_string();
        command.arg("-i").arg(address.ip().to_string()).args(["-p", &port, "-P", &port]);
        command.arg("-d").arg(&folder).args(["-w", "allowed"]).current_dir(&folder);
        let mut daemon = Daemon::spawn(&mut command, address);
        // It says nothing when it is ready.
        while TcpStream::connect(address).is_err() {
            daemon.assert_running();
            thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    /// `transmission-daemon` for the file in `data`, by `torrent`; the `number`th program of this
    /// process.
    pub(super) fn transmission(folder: &Path, number: u8, data: &Path, torrent: &Path) -> Daemon {
        let ip = own_address(number);
        let (peers, control) = (free(ip), free(ip));
        let home = folder.join(format!("client-{number}"));
        let watched = home.join("watched");
        std::fs::create_dir_all(&watched).unwrap();
        std::fs::copy(torrent, watched.join("data.torrent")).unwrap();
        let ip = ip.to_string();
        let mut command = Command::new("transmission-daemon");
        command.arg("--foreground").arg("--config-dir").arg(&home);
        command.arg("--download-dir").arg(data).arg("--watch-dir").arg(&watched);
        command.args(["--bind-address-ipv4", &ip, "--peerport", &peers.port().to_string()]);
        command.args(["--rpc-bind-address", &ip, "--port", &control.port().to_string()]);
        command.args(["--no-dht", "--no-lpd", "--no-utp", "--no-portmap"]);
        Daemon::spawn(&mut command, peers)
    }

    /// `aria2c`, as `transmission`. It listens on every address and announces from the usual one.
    pub(super) fn aria2(_folder: &Path, number: u8, data: &Path, torrent: &Path) -> Daemon {
        let port = own_port(number);
        let mut command = Command::new("aria2c");
        command.args(["--no-conf", "--check-integrity=true", "--seed-ratio=0.0", "--disable-ipv6"]);
        command.args([
            "--enable-dht=false",
            "--bt-enable-lpd=false",
            "--enable-peer-exchange=false",
        ]);
        command.arg(format!("--listen-port={port}")).arg("--dir").arg(data).arg(torrent);
        Daemon::spawn(&mut command, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// `rtorrent`, as `transmission`.
    pub(super) fn rtorrent(_folder: &Path, number: u8, data: &Path, torrent: &Path) -> Daemon {
        let address = free(own_address(number));
        let (ip, port) = (address.ip(), address.port());
        let mut command = Command::new("rtorrent");
        command.arg("-n").args(["-o", "system.daemon.set=true", "-o", "dht.mode.set=disable"]);
        command.args(["-o", &format!("network.bind_address.set={ip}")]);
        command.args(["-o", &format!("network.port_range.set={port}-{port}")]);
        command.args(["-o", &format!("directory.default.set={}", data.display())]).arg(torrent);
        Daemon::spawn(&mut command, address)
    }

    pub(super) fn assert_running(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the program at {} ended: {ended:?}", self.address);
    }

    /// Stops it as Ctrl-Z does: its system still accepts, but it does nothing.
    pub(super) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own_address(number: u8) -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    // Not 127.0.0.x, which other programs use.
    Ipv4Addr::new(127, high | 0x80, low, number + 1)
}

/// A port that is free on every address, below those that the system gives to other sockets.
fn own_port(number: u8) -> u16 {
    let first = std::process::id() as u16 % 1000 * 16 + u16::from(number) + 10_000;
    let mut ports = (first..first + 4096).step_by(16);
    ports.find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()).unwrap()
}

fn free(ip: Ipv4Addr) -> SocketAddr {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}
