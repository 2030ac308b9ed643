//! A PROXY header in front of a TLS session.

use std::io::{Read, Write};

use heist_net::server::{Limits, Listener, Peer};
use heist_net::tls::TlsStream;
use heist_net::{Server, Transport};

use crate::authority::Authority;
use crate::client::{Client, ClientOptions};
use crate::common::{GUARD, runtime};
use crate::stage::plain_config;

/// Failure: the header was taken for a part of the handshake, or the handshake for one of the header.
#[test]
fn session_behind_a_proxy_header_is_that_of_the_client() {
    let (authority, runtime) = (Authority::new(), runtime());
    let config = plain_config(&authority.issue(&["localhost"])).build().unwrap();
    let server = Server::builder()
        .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
        // A slow machine does not end the handshake.
        .limits(Limits { handshake_timeout: GUARD, ..Limits::default() })
        .overloaded_by(|_| false)
        .proxy_protocol(["127.0.0.1".parse().unwrap()])
        .tls(config)
        .handler(async |mut stream: TlsStream, peer: Peer| {
            stream.write_all(peer.to_string().as_bytes()).await?;
            stream.finish().await
        })
        .start_on(runtime.handle())
        .unwrap();
    let config = ClientOptions::default().config(&authority);
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 443\r\n".as_slice();
    let binary =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x01\xC6\x33\x64\x02\x10\xE1\x01\xBB";
    for header in [line, binary] {
        let mut client = Client::new(&server, &config, "localhost");
        // The first message of the handshake is in the segment of the header.
        let hello = client.outgoing();
        client.socket.write_all(&[header, &hello].concat()).unwrap();
        let mut told = String::new();
        client.read_to_string(&mut told).unwrap();
        assert_eq!(told, "192.0.2.1:4321");
    }
}
