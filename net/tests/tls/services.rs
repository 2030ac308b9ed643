//! Each kind of service behind TLS.

use std::convert::Infallible;
use std::io::{self, Read, Write};

use heist_net::protocol::{Context, Error, Protocol};
use heist_net::server::{Builder, Limits, Listener, NoService, Peer};
use heist_net::tls::Tls;
use heist_net::{Runtime, Server, Transport};

use crate::authority::Authority;
use crate::client::{Client, ClientOptions};
use crate::common::runtime;
use crate::stage::{echo, patient, plain_config, serve};

/// A server of TLS without a service yet.
fn server(authority: &Authority) -> Builder<NoService, Tls> {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = plain_config(&authority.issue(&["localhost"])).build().unwrap();
    let builder = Server::builder().listen(listener).overloaded_by(|_| false);
    builder.limits(patient(Limits::default())).tls(config)
}

fn client(server: &Server, authority: &Authority) -> Client {
    Client::new(server, &ClientOptions::default().config(authority), "localhost")
}

/// Sends each line back.
struct Lines;

impl Protocol for Lines {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
        cx.write(&input[..=end]);
        Ok(end + 1)
    }
}

#[test]
fn protocol_gets_every_line_however_it_is_cut_into_records() {
    let (runtime, authority) = (runtime(), Authority::new());
    let server = server(&authority).protocol(|_: &Peer| Lines).start_on(runtime.handle()).unwrap();
    let mut client = client(&server, &authority);
    client.ask("one\n");
    // Several in a record, and one in several records.
    client.ask("two\nthree\nfour\n");
    client.write_all(b"fi").unwrap();
    client.ask_rest(b"ve\n", b"five\n");
    let long = format!("{}\n", "x".repeat(40_000));
    client.ask(&long);
    // Many lines, more than a read takes at once.
    let many = "a line of some length\n".repeat(4000);
    client.ask(&many);
    client.close_notify();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
}

#[test]
fn one_worker_and_many_serve_alike() {
    let authority = Authority::new();
    for workers in [1, 4] {
        let builder = heist_net::Builder::new().ignore_environment();
        let runtime: Runtime = builder.workers(workers).start().unwrap();
        let config = plain_config(&authority.issue(&["localhost"])).build().unwrap();
        let server = serve(&runtime, config, Limits::default(), echo);
        let mut clients: Vec<_> = (0..6).map(|_| client(&server, &authority)).collect();
        for round in 0..5 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.ask(&format!("{round} {number}"));
            }
        }
    }
}

#[test]
fn handler_of_any_transport_works_on_tls() {
    async fn echo_once(mut transport: impl Transport) -> io::Result<()> {
        let mut buffer = [0; 64];
        let count = transport.read(&mut buffer).await?;
        transport.write_all(&buffer[..count]).await?;
        transport.finish().await
    }

    let (runtime, authority) = (runtime(), Authority::new());
    let server = server(&authority).handler(|stream, _| echo_once(stream));
    let server = server.start_on(runtime.handle()).unwrap();
    client(&server, &authority).ask("hello");
}

#[cfg(feature = "hyper")]
mod http {
    use std::sync::Arc;

    use heist_net::server::CloseKind;
    use heist_net::tls::{TlsInfo, Version};
    use http_body_util::{BodyExt, Full};
    use hyper::body::Bytes;
    use hyper::service::service_fn;
    use hyper::{Request, Response};

    use super::*;
    use crate::stage::until;

    /// Answers with the length of the body, and with what the handshake has agreed on.
    fn start(runtime: &Runtime, authority: &Authority, limits: Limits) -> Server {
        let service = service_fn(async |request: Request<heist_net::http::Body>| {
            let info = request.extensions().get::<Arc<TlsInfo>>().cloned().expect("it is TLS");
            assert_eq!(info.version, Version::Tls13);
            let length = request.into_body().collect().await.unwrap().to_bytes().len();
            let answer = format!("{length} {}\n", info.server_name.as_deref().unwrap_or("-"));
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer))))
        });
        server(authority).limits(patient(limits)).http(service).start_on(runtime.handle()).unwrap()
    }

    /// The body of the next answer.
    fn body(client: &mut Client) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let (_, length) = head.split_once("content-length: ").unwrap();
        let mut body = vec![0; length.split_once('\r').unwrap().0.parse().unwrap()];
        client.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn requests_are_answered_one_after_the_other_and_in_a_pipeline() {
        let (runtime, authority) = (runtime(), Authority::new());
        let server = start(&runtime, &authority, Limits::default());
        let mut client = client(&server, &authority);
        let get = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        for _ in 0..3 {
            client.write_all(get).unwrap();
            assert_eq!(body(&mut client), "0 localhost\n");
        }
        client.write_all(&get.repeat(20)).unwrap();
        for _ in 0..20 {
            assert_eq!(body(&mut client), "0 localhost\n");
        }
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        // `read_to_string` fails without close_notify.
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("0 localhost\n"), "{answer}");
        until(|| server.metrics().closed_by(CloseKind::Finished) == 1);
    }

    #[test]
    fn protocols_of_the_service_are_offered_also_after_a_reload() {
        let (runtime, authority) = (runtime(), Authority::new());
        let config = plain_config(&authority.issue(&["localhost"])).build().unwrap();
        let reloader = config.reloader();
        let service = service_fn(async |_: Request<heist_net::http::Body>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = Server::builder().listen(listener).overloaded_by(|_| false).tls(config);
        let server = server.http(service).start_on(runtime.handle()).unwrap();
        let options = |protocol: &[u8]| {
            let alpn = vec![protocol.to_vec()];
            ClientOptions { alpn, ..ClientOptions::default() }.config(&authority)
        };
        for _ in 0..2 {
            let mut client = Client::new(&server, &options(b"http/1.1"), "localhost");
            client.handshake().unwrap();
            assert_eq!(client.tls.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut other = Client::new(&server, &options(b"other"), "localhost");
            assert_eq!(other.refusal(), rustls::AlertDescription::NoApplicationProtocol);
            reloader.reload().unwrap();
        }
    }

    #[test]
    fn uploads_of_any_size_arrive() {
        let limits = Limits { max_body: 1 << 30, ..Limits::default() };
        let (runtime, authority) = (runtime(), Authority::new());
        let server = start(&runtime, &authority, limits);
        let mut client = client(&server, &authority);
        for length in [1, 8191, 8192, 16_384, 16_385, 300_000, 4_000_000] {
            let head =
                format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
            client.write_all(head.as_bytes()).unwrap();
            client.write_all(&vec![7; length]).unwrap();
            assert_eq!(body(&mut client), format!("{length} localhost\n"));
        }
    }

    #[test]
    fn idle_connections_of_a_draining_server_are_closed_in_order() {
        let (runtime, authority) = (runtime(), Authority::new());
        let limits = Limits { drain_linger: std::time::Duration::ZERO, ..Limits::default() };
        let server = start(&runtime, &authority, limits);
        let mut client = client(&server, &authority);
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert_eq!(body(&mut client), "0 localhost\n");
        std::thread::scope(|scope| {
            let drain = scope.spawn(|| server.drain_blocking(crate::common::GUARD));
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"");
            drop(client);
            drain.join().unwrap();
        });
    }
}
