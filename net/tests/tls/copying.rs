//! Copying between a TLS connection and a plain one, as a proxy does that ends TLS, or begins it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::mpsc;

use heist_net::io::copy_bidirectional;
use heist_net::server::Limits;
use heist_net::tls::{ClientConfig, Connector, Source, TlsStream};
use heist_net::{TcpListener, TcpStream, Transport};
use heist_scheduler::spawn;

use crate::client::address;
use crate::common::{GUARD, pair, run};
use crate::stage::Stage;

/// What a copy has returned.
type Report = Result<(u64, u64), ErrorKind>;

/// A proxy that ends TLS in front of the service at `behind`.
fn proxy(behind: SocketAddr) -> (Stage, mpsc::Receiver<Report>) {
    let (report, reports) = mpsc::channel();
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        move |mut front| {
            let report = report.clone();
            async move {
                let mut back = TcpStream::connect(behind).await?;
                let copied = copy_bidirectional(&mut front, &mut back).await;
                report.send(copied.map_err(|error| error.kind())).unwrap();
                Ok(())
            }
        },
    );
    (stage, reports)
}

async fn connect(stage: &Stage) -> TlsStream {
    let roots = Source::Pem(stage.authority.pem().into());
    let config = ClientConfig::builder().roots(roots).build().unwrap();
    let connector = Connector::new(config).handshake_timeout(60 * GUARD);
    let socket = TcpStream::connect(address(&stage.server)).await.unwrap();
    connector.connect("localhost", socket).await.unwrap()
}

/// Failure: an end that comes by `close_notify` does not go on as the end of the socket, or the other
/// way round; or it cuts the other direction.
#[test]
fn end_of_one_direction_goes_through_tls_and_leaves_the_other() {
    const LENGTH: usize = 1 << 20;
    for server_ends_first in [false, true] {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (stage, reports) = proxy(listener.local_addr().unwrap());
            let (client, mut front) = pair().await;
            let mut back = connect(&stage).await;
            let beginning =
                spawn(async move { copy_bidirectional(&mut front, &mut back).await.unwrap() });
            let (server, _) = listener.accept().await.unwrap();

            let (mut first, mut second) =
                if server_ends_first { (server, client) } else { (client, server) };
            let question = spawn(async move {
                first.write_all(&vec![1; LENGTH]).await.unwrap();
                first.shutdown().await.unwrap();
                first
            });
            assert!(second.read_to_end_limited(LENGTH).await.unwrap() == vec![1; LENGTH]);
            let mut first = question.await.unwrap();
            second.write_all(b"answer").await.unwrap();
            let mut answer = [0; 6];
            first.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"answer");
            second.shutdown().await.unwrap();
            assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0);

            let there = (LENGTH as u64, 6);
            let expected = if server_ends_first { (there.1, there.0) } else { there };
            assert_eq!(beginning.await.unwrap(), expected);
            let ending = heist_scheduler::spawn_blocking(move || reports.recv_timeout(GUARD));
            assert_eq!(ending.await.unwrap().unwrap(), Ok(expected));
        });
    }
}

/// Failure: a proxy takes a stream of TLS that was cut off for a finished one.
#[test]
fn stream_that_is_cut_off_ends_a_copy_with_an_error() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stage, reports) = proxy(listener.local_addr().unwrap());
        let mut client = connect(&stage).await;
        let (mut server, _) = listener.accept().await.unwrap();
        // Behind the tickets of the session: a close with unread bytes is a reset.
        server.write_all(b"x").await.unwrap();
        assert_eq!(client.read(&mut [0; 2]).await.unwrap(), 1);
        client.write_all(b"half of").await.unwrap();
        drop(client);
        assert_eq!(server.read_to_end_limited(100).await.unwrap(), b"half of");
        let ending = heist_scheduler::spawn_blocking(move || reports.recv_timeout(GUARD));
        assert_eq!(ending.await.unwrap().unwrap(), Err(ErrorKind::UnexpectedEof));
    });
}
