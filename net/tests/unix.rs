//! Unix sockets.

mod common;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{guarded, run, runtime};
use heist_net::protocol::{self, Context, Protocol};
use heist_net::server::{Address, Listener};
use heist_net::{Server, UnixListener, UnixStream};
use heist_scheduler::spawn;

/// A path for a socket of this process, removed at the end.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> SocketPath {
        let file = format!("heist-{}-{name}.sock", std::process::id());
        SocketPath(std::env::temp_dir().join(file))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn accepted_and_connected_ends_talk() {
    let path = SocketPath::new("talk");
    run(async {
        let listener = UnixListener::bind(&path.0).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path.0));
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut buffer = [0; 100];
            while let count @ 1.. = stream.read(&mut buffer).await? {
                stream.write_all(&buffer[..count]).await?;
            }
            Ok::<(), std::io::Error>(())
        });
        let mut client = UnixStream::connect(&path.0).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path.0));
        client.write_all(b"over the file").await.unwrap();
        let mut answer = [0; 13];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"over the file");
        drop(client);
        server.await.unwrap().unwrap();
    });
}

#[test]
fn path_without_a_listener_is_an_error() {
    run(async {
        let path = SocketPath::new("no-listener");
        let error = UnixStream::connect(&path.0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn peek_and_short_reads_strand_nothing() {
    run(async {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        for round in 0..500_u16 {
            near.write_all(&round.to_le_bytes()).await.unwrap();
            let mut buffer = [0; 64];
            assert_eq!(far.peek(&mut buffer).await.unwrap(), 2);
            assert_eq!(far.read(&mut buffer).await.unwrap(), 2);
            assert_eq!(buffer[..2], round.to_le_bytes());
        }
        drop(near);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

/// The variable that gives a child process the path to listen at.
const PATH: &str = "HEIST_TEST_PATH";

/// Failure: of two processes that start at once, each mistakes the other's new socket for an
/// abandoned one; and a process that ends removes the file of one that starts.
#[test]
fn of_many_processes_one_listens_and_is_reached() {
    if let Ok(path) = std::env::var(PATH) {
        return start_and_end_often(Path::new(&path));
    }
    let path = SocketPath::new("processes");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["of_many_processes_one_listens_and_is_reached", "--exact"]).env(PATH, &path.0);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let children: Vec<_> = (0..6).map(|_| command.spawn().unwrap()).collect();
    for child in children {
        let child = child.wait_with_output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    }
}

fn start_and_end_often(path: &Path) {
    for round in 0..1000 {
        match Listener::unix(path) {
            Ok(listener) => {
                let client = std::os::unix::net::UnixStream::connect(path).unwrap();
                let listens = rustix::net::sockopt::socket_peercred(&client).unwrap().pid;
                assert_eq!(listens, rustix::process::getpid(), "in round {round}");
                match round % 2 {
                    // As a killed process leaves it.
                    0 => drop(listener.keep_file()),
                    _ => drop(listener),
                }
            }
            Err(error) => assert!(error.to_string().contains("end what listens there"), "{error}"),
        }
    }
}

/// Failure: a name of the abstract namespace is refused, or bound and then lost.
#[cfg(target_os = "linux")]
#[test]
fn abstract_names_are_bound_connected_to_and_shown() {
    use std::ffi::OsString;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::net::SocketAddr;

    run(async {
        // Another test forks, and its child holds a socket until it executes its program: so each
        // test has a name of its own.
        for way in ["path", "address"] {
            // Bytes that no path can have: the kernel accepts them unchanged.
            let name = format!("heist-\0{}/../{way}", std::process::id()).into_bytes();
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            let path = PathBuf::from(OsString::from_vec([b"\0", &name[..]].concat()));
            let error = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let listener = match way {
                "path" => UnixListener::bind(&path),
                _ => UnixListener::bind_addr(&address),
            };
            let listener = listener.unwrap();
            assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(&name[..]));
            assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
            for client in
                [UnixStream::connect(&path).await, UnixStream::connect_addr(&address).await]
            {
                let mut client = client.unwrap();
                client.write_all(b"hi").await.unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                assert_eq!(client.peer_addr().unwrap().as_abstract_name(), Some(&name[..]));
                stream.read_exact(&mut [0; 2]).await.unwrap();
            }
        }
    });
}

struct Echo;

impl Protocol for Echo {
    type Message = std::convert::Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        cx.write(input);
        Ok(input.len())
    }
}

/// Failure: the address of a server's abstract socket is lost, so that it can be neither shown nor
/// handed over.
#[cfg(target_os = "linux")]
#[test]
fn server_listens_on_an_abstract_name_and_hands_it_over() {
    use std::os::fd::AsFd;

    let name = format!("heist-server-{}", std::process::id());
    let text = format!("unix:@{name}");
    let address: Address = text.parse().unwrap();
    assert_eq!(address, Address::Abstract(name.clone().into_bytes()));
    let listener = Listener::bind(&address).unwrap();
    assert_eq!((listener.address(), listener.address().to_string()), (&address, text));
    let same = Listener::from_fd(listener.as_fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!(same.address(), &address);
    let error = Listener::unix(format!("\0{name}")).unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
    assert_eq!(error.address, address);
    drop(listener);

    let runtime = runtime();
    let server =
        Server::builder().listen(same).protocol(|_| Echo).start_on(runtime.handle()).unwrap();
    assert_eq!(server.addresses(), [address]);
    runtime.block_on(guarded(async {
        let mut client = UnixStream::connect(format!("\0{name}")).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
    }));
}
