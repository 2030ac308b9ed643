//! The layer that chooses the account of each request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use heist::server::{Address, Listener};
use heist::task::{Account, account};
use heist::{Runtime, Server};
use heist_axum::{AccountLayer, BuilderExt as _};

/// Sends a request with this field, and returns the body of the answer, which ends in a line.
fn ask(stream: &mut TcpStream, field: &str) -> String {
    write!(stream, "GET / HTTP/1.1\r\nhost: a\r\n{field}\r\n").unwrap();
    let mut answer = Vec::new();
    // A body ends in one line feed, and a head in two.
    while !answer.ends_with(b"\n") || answer.ends_with(b"\r\n") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..count]);
    }
    let answer = String::from_utf8(answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Failure: the requests of a tenant were charged to whatever connection they came on, or the next request of a
/// connection to the tenant before it.
#[test]
fn request_is_charged_to_the_account_that_the_layer_chooses() {
    let by_tenant = AccountLayer::new(|request: &Request| {
        request.headers().get("x-tenant").map(|tenant| Account::shared(tenant.as_bytes()))
    });
    let handler = async || format!("{:?}\n", heist::spawn(async { account() }).await.unwrap());
    let router = Router::new().route("/", get(handler)).layer(by_tenant);
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let builder = Server::builder().listen(listener).overloaded_by(|_| false).axum(router);
    let runtime = Runtime::new().unwrap();
    let server = builder.start_on(runtime.handle()).unwrap();
    let Address::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let own = ask(&mut stream, "");
    let tenant = |name: &str| format!("{:?}\n", Account::shared(name.as_bytes()));
    for name in ["blue", "green", "blue"] {
        assert_eq!(ask(&mut stream, &format!("x-tenant: {name}\r\n")), tenant(name));
        assert_eq!(ask(&mut stream, ""), own);
    }
    drop(stream);
    runtime.block_on(server.drain(Duration::from_secs(30)));
}
