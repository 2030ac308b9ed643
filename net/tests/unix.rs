//! Unix sockets.

mod common;

use std::io::ErrorKind;
use std::path::PathBuf;

use common::run;
use heist_net::{UnixListener, UnixStream};
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
        let path = SocketPath::new("nobody");
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
