//! More peers than descriptors.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use heist_tests::hang_guard;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::scripted::{handshake, message};
use super::{Told, torrent, with_time_limit, write_torrent};
use crate::example::{Outcome, command, finish};

/// Many peers behind one socket: each has an address of its own.
struct Crowd {
    listener: TcpListener,
    peers: Vec<SocketAddr>,
}

impl Crowd {
    fn of(count: u16) -> Crowd {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
        socket.listen(i32::from(count)).unwrap();
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().unwrap().port();
        let peers = (0..count).map(|number| {
            let [high, low] = number.to_be_bytes();
            SocketAddr::from((Ipv4Addr::new(127, 77, high, low), port))
        });
        Crowd { peers: peers.collect(), listener }
    }

    fn accept(&self) -> TcpStream {
        self.listener.accept().unwrap().0
    }

    /// Answers every connection, for as long as this process lives.
    fn answer_all(self) -> Vec<SocketAddr> {
        let peers = self.peers.clone();
        thread::spawn(move || {
            loop {
                let stream = self.accept();
                thread::spawn(|| answer(stream));
            }
        });
        peers
    }
}

/// Plays a seed that unchokes at once.
fn answer(mut stream: TcpStream) {
    let unchoke = [handshake(&torrent().1), message(5, &[0xff, 0, 0]), message(1, b"")].concat();
    stream.read_exact(&mut [0; 68]).unwrap();
    stream.write_all(&unchoke).unwrap();
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// Starts it with `ulimit -n` at `limit`.
fn start(limit: u32, folder: &Path, peers: &[SocketAddr], options: &[&str]) -> Child {
    let program = command("peer_probe");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]);
    shell.arg(program.get_program()).arg(write_torrent(folder)).arg("--json").args(options);
    shell.args(peers.iter().map(|address| format!("--peer={address}")));
    for (variable, _) in program.get_envs() {
        shell.env_remove(variable);
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell.spawn().unwrap()
}

fn assert_all_unchoked(outcome: &Outcome, peers: &[SocketAddr]) {
    let told = Told::in_outcome(outcome);
    assert_eq!(told.peers().len(), peers.len());
    peers.iter().for_each(|address| told.assert_unchoked(*address, 8));
}

/// Failure: "could not connect: Too many open files", said of peers that are alive.
#[test]
fn thousand_peers_are_probed_with_256_descriptors() {
    let _guard = hang_guard("peer_probe: 1000 peers");
    let folder = TempDir::new().unwrap();
    let peers = Crowd::of(1000).answer_all();
    let cases: [(u32, &[&str]); 4] =
        [(256, &[]), (256, &["--at-once=1000"]), (64, &["--at-once=200"]), (24, &[])];
    for (limit, options) in cases {
        let outcome = finish(start(limit, folder.path(), &peers, options));
        assert_all_unchoked(&outcome, &peers);
        match options {
            [] => assert_eq!(outcome.stderr, "", "{limit}"),
            [option] => {
                let said = option.replace('=', " ") + " is lowered to ";
                assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
                let limit = format!("the limit is {limit} open files\n");
                assert!(outcome.stderr.ends_with(&limit), "{}", outcome.stderr);
                assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
            }
            _ => unreachable!("each case has one option"),
        }
    }
}

/// As many peers as are probed at once, held; and the limit falls below what is open.
fn held(crowd: &Crowd, child: &Child, limit: impl FnOnce(u64) -> u64) -> Vec<TcpStream> {
    let held: Vec<_> = (0..AT_ONCE).map(|_| crowd.accept()).collect();
    let id = Pid::from_child(child);
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count() as u64;
    let lowered = Rlimit { current: Some(limit(open)), maximum: Some(256) };
    prlimit(Some(id), Resource::Nofile, lowered).unwrap();
    held
}

const AT_ONCE: usize = 10;
const AT_ONCE_OPTION: &str = "--at-once=10";

#[test]
fn probe_without_a_descriptor_waits_for_another_probes() {
    let _guard = hang_guard("peer_probe: fewer descriptors");
    let folder = TempDir::new().unwrap();
    let crowd = Crowd::of(60);
    let peers = crowd.peers.clone();
    let child = start(256, folder.path(), &peers, &[AT_ONCE_OPTION]);
    let held = held(&crowd, &child, |open| open - 5);
    // Now half of the probes that end leave no descriptor that may be used again.
    held.into_iter().for_each(|stream| drop(thread::spawn(|| answer(stream))));
    crowd.answer_all();

    let outcome = finish(child);
    assert_all_unchoked(&outcome, &peers);
    assert_eq!(
        outcome.stderr,
        "peer_probe: Too many open files (os error 24): probes wait for a free descriptor or memory\n"
    );
}

#[test]
fn probes_for_which_no_descriptor_comes_end_with_the_reason() {
    let _guard = hang_guard("peer_probe: no descriptors");
    with_time_limit(3, probes_end_without_descriptors);
}

fn probes_end_without_descriptors(seconds: u64) {
    let folder = TempDir::new().unwrap();
    let crowd = Crowd::of(60);
    let peers = crowd.peers.clone();
    let limit = format!("--timeout={seconds}");
    let child = start(256, folder.path(), &peers, &[AT_ONCE_OPTION, &limit]);
    let held = held(&crowd, &child, |_| 0);
    let answered: Vec<_> = held.iter().map(|stream| stream.local_addr().unwrap()).collect();
    held.into_iter().for_each(|stream| drop(thread::spawn(|| answer(stream))));

    let outcome = finish(child);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    let told = Told::in_outcome(&outcome);
    assert_eq!(told.peers().len(), peers.len());
    for address in peers {
        if answered.contains(&address) {
            told.assert_unchoked(address, 8);
        } else {
            let why = "not probed, for want of a descriptor or memory: Too many";
            told.assert_failed(address, why);
        }
    }
}
