//! Sessions that are resumed by tickets.

use std::sync::Arc;

use heist_net::Transport;
use heist_net::server::Limits;
use heist_net::tls::{ClientAuth, ClientRoots, Config, Source, Tickets};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};

use crate::authority::Authority;
use crate::client::{Client, ClientOptions};
use crate::common::runtime;
use crate::stage::{Stage, echo, plain_config, serve};

/// The kind of a handshake, after which the client has the tickets.
fn kind(server: &heist_net::Server, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut client = Client::new(server, config, "localhost");
    client.ask("hello");
    client.close_notify();
    std::io::Read::read_to_end(&mut client, &mut Vec::new()).unwrap();
    client.tls.handshake_kind().unwrap()
}

#[test]
fn both_versions_resume_and_are_counted() {
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |stream| {
            let resumed = stream.info().resumed;
            assert!(resumed || stream.info().cipher_suite.contains("_"), "{:?}", stream.info());
            echo(stream)
        },
    );
    for version in [&TLS12, &TLS13] {
        let options = ClientOptions { versions: vec![version], ..ClientOptions::default() };
        let config = options.config(&stage.authority);
        assert_eq!(kind(&stage.server, &config), HandshakeKind::Full);
        assert_eq!(kind(&stage.server, &config), HandshakeKind::Resumed);
        assert_eq!(kind(&stage.server, &config), HandshakeKind::Resumed);
    }
    let metrics = stage.metrics();
    let counts: Vec<_> =
        metrics.handshakes.iter().map(|it| (it.version, it.resumed, it.count)).collect();
    assert_eq!(counts, [("1.2", false, 1), ("1.2", true, 2), ("1.3", false, 1), ("1.3", true, 2)]);
    assert_eq!(metrics.completed(), 6);
    assert_eq!(metrics.handshake_time.count(), 6);
}

#[test]
fn nothing_is_resumed_without_tickets() {
    let stage = Stage::with(|config| config.tickets(Tickets::OFF), Limits::default(), echo);
    for version in [&TLS12, &TLS13] {
        let options = ClientOptions { versions: vec![version], ..ClientOptions::default() };
        let config = options.config(&stage.authority);
        assert_eq!(kind(&stage.server, &config), HandshakeKind::Full);
        assert_eq!(kind(&stage.server, &config), HandshakeKind::Full);
    }
}

#[test]
fn session_of_one_server_is_not_resumed_by_another() {
    let authority = Authority::new();
    let certificate = authority.issue(&["localhost"]);
    let runtime = runtime();
    let servers = [(), ()].map(|()| {
        let config = plain_config(&certificate).build().unwrap();
        serve(&runtime, config, Limits::default(), echo)
    });
    let config = ClientOptions::default().config(&authority);
    assert_eq!(kind(&servers[0], &config), HandshakeKind::Full);
    assert_eq!(kind(&servers[1], &config), HandshakeKind::Full);
}

#[test]
fn tickets_survive_a_reload_unless_they_vouch_for_a_client() {
    let authority = Authority::new();
    let certificate = authority.issue(&["localhost"]);
    let runtime = runtime();
    let clients = Authority::new();
    let roots = ClientRoots::new(Source::Pem(clients.pem().into()));
    for (client_auth, expected) in [
        (ClientAuth::Off, HandshakeKind::Resumed),
        (ClientAuth::Required(roots), HandshakeKind::Full),
    ] {
        let config: Config = plain_config(&certificate).client_auth(client_auth).build().unwrap();
        let reloader = config.reloader();
        let server = serve(&runtime, config, Limits::default(), |mut stream| async move {
            // The client has the ticket when it has this.
            let mut buffer = [0; 16];
            let count = stream.read(&mut buffer).await?;
            stream.write_all(&buffer[..count]).await?;
            stream.finish().await
        });
        let certificate = Some(clients.issue(&["client"]));
        let options = ClientOptions { certificate, ..ClientOptions::default() };
        let client = options.config(&authority);
        assert_eq!(kind(&server, &client), HandshakeKind::Full);
        assert_eq!(kind(&server, &client), HandshakeKind::Resumed);
        reloader.reload().unwrap();
        assert_eq!(kind(&server, &client), expected);
    }
}
