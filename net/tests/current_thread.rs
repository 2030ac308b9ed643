//! Sockets and servers of a runtime whose tasks run on the thread in `block_on`.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use heist_net::server::{Address, Listener};
use heist_net::{Builder, Runtime, Server, TcpListener, TcpStream};
use heist_scheduler::{spawn, spawn_blocking};

/// Far longer than any test here takes: only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

fn current_thread() -> Runtime {
    Builder::new().current_thread().start().unwrap()
}

fn std_client(address: std::net::SocketAddr) -> std::net::TcpStream {
    let client = std::net::TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(HANG)).unwrap();
    client
}

#[test]
fn server_serves_clients_of_other_threads_and_drains() {
    let report = current_thread().block_on(async {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = Server::builder()
            .listen(listener)
            .handler(|mut stream, _peer| async move {
                let mut line = [0; 5];
                while stream.read_exact(&mut line).await.is_ok() {
                    stream.write_all(&line).await?;
                }
                Ok(())
            })
            .start()
            .unwrap();
        let Address::Tcp(address) = server.addresses()[0] else { panic!("it is TCP") };
        let clients: Vec<_> = (0..10)
            .map(|_| {
                spawn_blocking(move || {
                    let mut client = std_client(address);
                    let mut line = [0; 5];
                    for _ in 0..20 {
                        client.write_all(b"hello").unwrap();
                        client.read_exact(&mut line).unwrap();
                        assert_eq!(&line, b"hello");
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.drain(HANG).await
    });
    assert_eq!(report.force_closed, 0, "{report:?}");
}

/// Sockets and tasks stay where they are between two calls of `block_on`, also when the next one is on
/// another thread.
#[test]
fn sockets_go_on_in_the_next_block_on() {
    let runtime = current_thread();
    let (listener, address) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    });
    // The connection and its bytes come while no thread is in `block_on`.
    let mut client = std_client(address);
    let echo = runtime.spawn(async move {
        let (mut stream, _peer) = listener.accept().await.unwrap();
        let mut line = [0; 5];
        for _ in 0..2 {
            stream.read_exact(&mut line).await.unwrap();
            stream.write_all(&line).await.unwrap();
        }
    });
    client.write_all(b"first").unwrap();
    let mut line = [0; 5];
    runtime.block_on(async {
        let mut reader = client.try_clone().unwrap();
        line = spawn_blocking(move || {
            reader.read_exact(&mut line).unwrap();
            line
        })
        .await
        .unwrap();
    });
    assert_eq!(&line, b"first");
    client.write_all(b"other").unwrap();
    let handle = runtime.handle().clone();
    thread::spawn(move || handle.block_on(echo).unwrap()).join().unwrap();
    client.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"other");
}

#[test]
fn end_of_the_runtime_closes_the_sockets_of_its_tasks() {
    let runtime = current_thread();
    let mut client = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std_client(listener.local_addr().unwrap());
        let (mut stream, _peer) = listener.accept().await.unwrap();
        drop(spawn(async move { stream.read(&mut [0; 1]).await }));
        heist_scheduler::yield_now().await;
        client
    });
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_dropped, report.tasks_left, report.threads_left), (1, 0, 0));
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn names_are_looked_up_beside_the_thread() {
    current_thread().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = TcpStream::connect(("localhost", port)).await.unwrap();
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(connected.local_addr().unwrap(), peer);
    });
}
