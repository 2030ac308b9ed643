//! A connection that idles keeps nothing of the requests before.
//!
//! One test function, since it counts what the whole process has allocated.

#[path = "common/counting.rs"]
mod counting;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use counting::allocated_now;
use heist::http::Body;
use heist::server::{Address, Listener, Server};
use heist::time::Clock;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn length(mut request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut length = 0;
    while let Some(frame) = request.body_mut().frame().await {
        length += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    Ok(Response::new(Full::from(length.to_string())))
}

/// Sends a body, and waits for the answer. Allocates nothing that stays.
fn upload(stream: &mut TcpStream, body: &[u8]) {
    let length = body.len();
    write!(stream, "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let (mut answer, mut filled) = ([0; 512], 0);
    while !answer[..filled].ends_with(length.to_string().as_bytes()) {
        let count = stream.read(&mut answer[filled..]).unwrap();
        assert!(count > 0, "the server closed");
        filled += count;
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream
}

/// Failure: 12,567 bytes stayed for as long as the connection was open, of 1 MiB that was sent once.
#[test]
fn idle_connection_keeps_less_than_a_kilobyte_of_a_body() {
    let (clock, hand) = Clock::manual();
    let builder = heist::Builder::new().ignore_environment().workers(2).clock(clock);
    let runtime = builder.start().unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = Server::builder().listen(listener).http(service_fn(length));
    let server = server.start_on(runtime.handle()).unwrap();
    let Address::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };
    let body = vec![b'x'; 1 << 20];
    let mut crowd = Vec::with_capacity(CROWD);
    // What is allocated once, whatever comes.
    upload(&mut connect(address), &body);
    let start = Instant::now();
    while server.metrics().connections_idle + server.metrics().connections_active > 0 {
        assert!(start.elapsed() < HANG, "the first connection stays");
        std::thread::yield_now();
    }
    let before = allocated_now();

    for _ in 0..CROWD {
        let mut stream = connect(address);
        upload(&mut stream, &body);
        crowd.push(stream);
    }
    let kept = || allocated_now().saturating_sub(before);
    hand.advance(Duration::from_secs(10));
    while kept() > CROWD * KEPT {
        assert!(start.elapsed() < HANG, "{} bytes a connection", kept() / CROWD);
        std::thread::yield_now();
    }

    // They serve as before.
    crowd.iter_mut().for_each(|stream| upload(stream, &body[..1_000]));
}

const CROWD: usize = 128;
/// Bytes of a connection, the tables of tasks and timers included.
const KEPT: usize = 1_000;
/// Far beyond what anything here takes: reached only by memory that stays.
const HANG: Duration = Duration::from_secs(60);
