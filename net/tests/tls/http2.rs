//! HTTP/2 behind TLS.

use heist_net::http::Body;
use heist_net::server::{Allowance, CloseKind, Http2Limits, Limits, Listener};
use heist_net::{Runtime, Server};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::authority::Authority;
use crate::client::{Client as TlsClient, ClientOptions};
use crate::common::{GUARD, runtime};
use crate::frames::*;
use crate::stage::{patient, plain_config, until};

struct Site {
    server: Server,
    authority: Authority,
    // Behind the server, which runs on it.
    runtime: Runtime,
}

impl Site {
    fn new(limits: Limits) -> Site {
        let (runtime, authority) = (runtime(), Authority::new());
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = plain_config(&authority.issue(&["localhost"])).alpn(["h2"]).build().unwrap();
        let server = Server::builder()
            .listen(listener)
            .limits(patient(limits))
            .overloaded_by(|_| false)
            .tls(config)
            .http(service_fn(serve))
            .start_on(runtime.handle())
            .unwrap();
        Site { server, authority, runtime }
    }

    /// A client that has agreed on HTTP/2, and has sent its preface.
    fn begun(&self) -> Client<TlsClient> {
        let alpn = vec![b"h2".to_vec()];
        let config = ClientOptions { alpn, ..ClientOptions::default() }.config(&self.authority);
        let mut client = Client::over(TlsClient::new(&self.server, &config, "localhost"));
        client.begin(&[]);
        client
    }

    fn expect_end(&self, kind: CloseKind) {
        until(|| self.server.metrics().closed_by(kind) == 1);
        until(|| self.server.metrics().buffered_bytes == 0);
    }
}

/// Sends a body back as it comes, or a long one for none.
async fn serve(
    request: Request<Body>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, heist_net::http::BodyError>>, Error>
{
    Ok(Response::new(match request.method().as_str() {
        "POST" => request.into_body().boxed(),
        _ => Full::new(Bytes::from(pattern(0, LONG))).map_err(|never| match never {}).boxed(),
    }))
}

type Error = Box<dyn std::error::Error + Send + Sync>;

const LONG: usize = 3 << 20;

/// Bytes of which each place is told by its neighbours.
fn pattern(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn long_answer_comes_as_the_windows_allow() {
    let site = Site::new(Limits::default());
    let mut client = site.begun();
    client.send(&request(1, "/", true));
    let (mut came, mut window) = (Vec::<u8>::new(), 65_535);
    loop {
        let frame = client.until(DATA);
        window -= frame.payload.len();
        came.extend(&frame.payload);
        if frame.ends_stream() {
            break;
        }
        // Not before the window is closed.
        if window == 0 {
            window = 100_000;
            client.send(&[window_update(0, 100_000), window_update(1, 100_000)].concat());
            if came.len() == 65_535 {
                client.send(&window_update(0, 1 << 20));
            }
        }
    }
    assert!(came == pattern(0, LONG), "{} bytes", came.len());
    drop(client);
    site.expect_end(CloseKind::Finished);
}

#[test]
fn long_body_comes_back_as_it_was_sent() {
    let site = Site::new(Limits { max_body: LONG as u64, ..Limits::default() });
    let mut client = site.begun();
    client.send(&window_update(0, 1 << 30));
    client.send(&request(1, "/", false));
    client.send(&window_update(1, 1 << 30));
    // What the server allows for by default, before it has said so.
    let (mut sent, mut came) = (0, Vec::<u8>::new());
    let (mut of_stream, mut of_connection) = (65_535_usize, 65_535_usize);
    loop {
        while sent < LONG && of_stream.min(of_connection) > 0 {
            let count = of_stream.min(of_connection).min(16 * 1024).min(LONG - sent);
            let flags = if sent + count == LONG { END_STREAM } else { 0 };
            client.send(&frame(DATA, flags, 1, &pattern(sent, count)));
            (of_stream, of_connection) = (of_stream - count, of_connection - count);
            sent += count;
        }
        let frame = client.next().expect("the answer comes before the end");
        assert_ne!(frame.kind, RST_STREAM);
        match (frame.kind, frame.stream) {
            (DATA, 1) => came.extend(&frame.payload),
            (WINDOW_UPDATE, 0) => of_connection += frame.number(0) as usize,
            (WINDOW_UPDATE, 1) => of_stream += frame.number(0) as usize,
            _ => {}
        }
        if frame.ends_stream() {
            break;
        }
    }
    assert!(came == pattern(0, LONG), "{} bytes", came.len());
    drop(client);
    site.expect_end(CloseKind::Finished);
}

#[test]
fn drain_says_goaway_and_ends_the_session() {
    let site = Site::new(Limits::default());
    let mut client = site.begun();
    client.send(&request(1, "/", false));
    client.until(HEADERS);
    let drained = std::thread::scope(|scope| {
        let drain = scope.spawn(|| site.runtime.block_on(site.server.drain(60 * GUARD)));
        let ping = client.until(PING);
        client.send(&frame(PING, ACK, 0, &ping.payload));
        client.until(GOAWAY);
        client.send(&frame(DATA, END_STREAM, 1, b"last"));
        assert_eq!(client.until(DATA).payload, b"last");
        while client.next().is_some() {}
        drop(client);
        drain.join().unwrap()
    });
    assert_eq!(drained.force_closed, 0);
    site.expect_end(CloseKind::Drained);
}

#[test]
fn flood_is_closed_with_its_reason() {
    let http2 = Http2Limits { pings: Allowance::new(3, 0), ..Http2Limits::default() };
    let site = Site::new(Limits { http2, ..Limits::default() });
    let mut client = site.begun();
    // A body, and an answer that the client does not read, are under way.
    client.send(&request(1, "/", false));
    client.send(&frame(DATA, 0, 1, &pattern(0, 10_000)));
    client.send(&frame(PING, 0, 0, &[7; 8]).repeat(40));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    drop(client);
    site.expect_end(CloseKind::Http2Flood);
    let http = site.server.metrics().http.unwrap();
    assert_eq!(http.http2.violations_of("pings"), 1);
    assert_eq!(http.http2.open_streams, 0);
}
