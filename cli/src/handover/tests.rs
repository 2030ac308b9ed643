//! The new process is this test's own binary; the environment gives it that role.

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;
use crate::testing::{self, DONE, done, role};

const FOREVER: Duration = Duration::from_secs(60);

/// A socket file in a place of its own, removed in the end.
struct SocketPath(std::path::PathBuf);

impl SocketPath {
    fn new(name: &str) -> SocketPath {
        SocketPath(env::temp_dir().join(format!("heist-{name}-{}", std::process::id())))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tcp() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Accepts one connection, answers it, and waits until the peer has closed it.
fn serve_once(listener: &Listener, answer: &[u8]) {
    let fd = listener.as_fd().try_clone_to_owned().unwrap();
    match listener.address() {
        Address::Tcp(_) => converse(TcpListener::from(fd).accept().unwrap().0, answer),
        Address::Unix(_) | Address::Abstract(_) => {
            converse(UnixListener::from(fd).accept().unwrap().0, answer)
        }
    }
}

fn converse(mut stream: impl Read + Write, answer: &[u8]) {
    stream.write_all(answer).unwrap();
    let _ = stream.read(&mut [0]);
}

fn answer(mut stream: impl Read) -> String {
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

/// Failure: connections that wait to be accepted are reset by a restart.
#[test]
fn connections_in_the_backlog_are_served_by_the_new_process() {
    if role().is_some() {
        let mut inherited = inherited().unwrap().unwrap();
        let listeners = inherited.unclaimed();
        assert_eq!(listeners.len(), 2);
        inherited.predecessor().unwrap().announce_ready().unwrap();
        listeners.iter().for_each(|listener| serve_once(listener, b"new"));
        return;
    }
    let path = SocketPath::new("backlog");
    let (tcp, unix) = (tcp(), UnixListener::bind(&path.0).unwrap());
    let waiting = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let waiting_unix = UnixStream::connect(&path.0).unwrap();
    let name = "handover::tests::connections_in_the_backlog_are_served_by_the_new_process";
    let started = Successor::spawn(testing::child(name, "new"), &[tcp.as_fd(), unix.as_fd()]);
    let child = started.unwrap().wait_ready(FOREVER).unwrap();
    assert_ne!(child, std::process::id());
    drop((tcp, unix));
    assert_eq!(answer(&waiting), "new");
    drop(waiting);
    assert_eq!(answer(&waiting_unix), "new");
}

/// Failure: the old process drains though the new one has ended, and no process serves.
#[test]
fn successor_that_ends_before_it_is_ready_is_reported() {
    if role().is_some() {
        drop(inherited().unwrap().unwrap());
        std::process::exit(3);
    }
    let name = "handover::tests::successor_that_ends_before_it_is_ready_is_reported";
    let successor = Successor::spawn(testing::child(name, "ends"), &[tcp().as_fd()]).unwrap();
    let error = successor.wait_ready(FOREVER).unwrap_err();
    // It closed the channel before it ended, and may have been killed in between.
    assert!(matches!(error, HandoverError::Ended(_)), "{error}");
    assert!(Successor::spawn(Command::new("/nowhere/heist"), &[]).is_err());
}

/// Failure: the new process starts to serve after the old one gave up on it, and both serve.
#[test]
fn successor_that_says_nothing_is_ended() {
    if role().is_some() {
        loop {
            thread::park();
        }
    }
    let name = "handover::tests::successor_that_says_nothing_is_ended";
    let successor = Successor::spawn(testing::child(name, "hangs"), &[tcp().as_fd()]).unwrap();
    let pid = rustix::process::Pid::from_child(successor.child.as_ref().unwrap());
    let error = successor.wait_ready(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, HandoverError::Late(_)), "{error}");
    let gone = rustix::process::test_kill_process(pid);
    assert_eq!(gone, Err(rustix::io::Errno::SRCH));
}

/// Failure: a program that a server starts takes itself for its successor.
#[test]
fn process_without_passed_sockets_has_none() {
    if role().is_some() {
        assert!(inherited().unwrap().is_none());
        done();
    }
    let name = "handover::tests::process_without_passed_sockets_has_none";
    let mut child = testing::child(name, "stranger");
    let status = child.env("HEIST_PREDECESSOR", "1").env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    assert_eq!(status.status().unwrap().code(), Some(DONE));
}

/// A shell puts its standard input where the service manager puts the first socket.
fn activate(name: &str, socket: OwnedFd) -> std::process::Child {
    let program = testing::child(name, "activated");
    let mut shell = Command::new("sh");
    shell.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null"]);
    shell.arg(program.get_program()).args(program.get_args());
    shell.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell.stdin(Stdio::from(socket)).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn socket_of_the_service_manager_is_served_and_not_leaked() {
    if role().is_some() {
        let mut inherited = inherited().unwrap().unwrap();
        assert!(inherited.predecessor().is_none());
        assert!(env::var_os("LISTEN_FDS").is_none());
        let listener = inherited.unclaimed().pop().unwrap();
        let flags = rustix::io::fcntl_getfd(&listener).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        serve_once(&listener, b"new");
        done();
    }
    let listener = tcp();
    let waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let name = "handover::tests::socket_of_the_service_manager_is_served_and_not_leaked";
    let mut child = activate(name, listener.into());
    assert_eq!(answer(&waiting), "new");
    drop(waiting);
    assert_eq!(child.wait().unwrap().code(), Some(DONE));
}

#[test]
fn socket_that_does_not_listen_is_refused() {
    if role().is_some() {
        let error = inherited().unwrap_err().to_string();
        assert!(error.contains("LISTEN_FDS") && error.contains("does not listen"), "{error}");
        done();
    }
    let listener = tcp();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let name = "handover::tests::socket_that_does_not_listen_is_refused";
    assert_eq!(activate(name, stream.into()).wait().unwrap().code(), Some(DONE));
}

/// Failure: the socket of a fixed port goes to the address that would take any.
#[test]
fn addresses_claim_their_own_socket_before_any_port_does() {
    let (one, other) = (tcp(), tcp());
    let fixed = Address::Tcp(one.local_addr().unwrap());
    let free = Address::Tcp("127.0.0.1:0".parse().unwrap());
    let left = Address::Tcp(other.local_addr().unwrap());
    let listeners = [one, other].map(|tcp| Listener::from_fd(tcp.into()).unwrap()).into();
    let mut inherited = Inherited { listeners, predecessor: None };
    let elsewhere = Address::Tcp("127.0.0.2:0".parse().unwrap());
    let claimed = inherited.claim(&[elsewhere, free.clone(), fixed.clone(), free]);
    let addresses: Vec<_> =
        claimed.iter().map(|listener| listener.as_ref().map(|it| it.address().clone())).collect();
    assert_eq!(addresses, [None, Some(left), Some(fixed), None]);
    assert!(inherited.unclaimed().is_empty());
}

#[test]
fn more_sockets_than_the_kernel_passes_are_refused() {
    let listener = tcp();
    let many = vec![listener.as_fd(); 254];
    let error = Successor::spawn(Command::new("true"), &many).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // As many as it does pass go through.
    assert!(Successor::spawn(Command::new("true"), &many[..253]).is_ok());
}
