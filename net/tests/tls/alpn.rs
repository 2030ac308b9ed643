//! The protocol that both sides agree on.

use heist_net::Transport;
use heist_net::server::Limits;
use rustls::AlertDescription;

use crate::client::{Client, ClientOptions};
use crate::stage::{Stage, until};

/// Sends what ALPN has agreed on.
fn stage(protocols: &'static [&'static str]) -> Stage {
    Stage::with(
        move |config| config.alpn(protocols.iter().copied()),
        Limits::default(),
        |mut stream| async move {
            let agreed = Transport::alpn(&stream).unwrap_or(b"nothing").to_vec();
            assert_eq!(stream.info().alpn.as_deref().unwrap_or(b"nothing"), agreed);
            stream.write_all(&agreed).await?;
            stream.finish().await
        },
    )
}

fn agreed(stage: &Stage, offered: &[&str]) -> String {
    let alpn = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let config = ClientOptions { alpn, ..ClientOptions::default() }.config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
    answer
}

#[test]
fn best_protocol_of_the_server_is_chosen() {
    let stage = stage(&["h2", "http/1.1"]);
    assert_eq!(agreed(&stage, &["http/1.1", "h2"]), "h2");
    assert_eq!(agreed(&stage, &["http/1.1", "other"]), "http/1.1");
    assert_eq!(agreed(&stage, &[]), "nothing");
}

#[test]
fn client_of_other_protocols_is_refused_and_counted() {
    let stage = stage(&["http/1.1"]);
    let alpn = vec![b"other".to_vec()];
    let config = ClientOptions { alpn, ..ClientOptions::default() }.config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    assert_eq!(client.refusal(), AlertDescription::NoApplicationProtocol);
    until(|| stage.metrics().failed_for("no_application_protocol") == 1);
}

#[test]
fn server_without_protocols_ignores_what_clients_offer() {
    let stage = stage(&[]);
    assert_eq!(agreed(&stage, &["other"]), "nothing");
}
