//! Without the pool: hyper's client by hand, and hyper-rustls over the connector.

use std::sync::Arc;

use bytes::Bytes;
use heist::net::{HyperExecutor, TcpStream};
use heist::tls;
use heist_hyper_util::{Connector, client_builder};
use http::{Request, Version};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use rustls::RootCertStore;

use crate::site::{Options, Site, text, until};

#[test]
fn http1_by_hand() {
    let site = Site::plain();
    site.run(async {
        let stream = TcpStream::connect(site.address()).await.unwrap();
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        let connection = heist::spawn(connection);
        for _ in 0..3 {
            sender.ready().await.unwrap();
            let request =
                Request::get("/").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
            assert_eq!(text(sender.send_request(request).await.unwrap()).await, "hello");
        }
        drop(sender);
        connection.await.unwrap().unwrap();
    });
    assert_eq!(site.accepted(), 1);
}

#[test]
fn http2_by_hand_over_tls() {
    let (site, config) = Site::tls();
    site.run(async {
        let connector = tls::Connector::new(config.with_alpn(["h2"]));
        let stream = TcpStream::connect(site.address()).await.unwrap();
        let stream = connector.connect("localhost", stream).await.unwrap();
        assert_eq!(stream.info().alpn.as_deref(), Some(&b"h2"[..]));
        let (sender, connection) = http2::handshake(HyperExecutor, stream).await.unwrap();
        let connection = heist::spawn(connection);
        let requests: Vec<_> = (0..50)
            .map(|_| {
                let request =
                    Request::get(site.uri("https", "/wait")).body(Empty::<Bytes>::new()).unwrap();
                heist::spawn(sender.clone().send_request(request))
            })
            .collect();
        until(|| site.in_flight() == 50).await;
        site.open_gate();
        for request in requests {
            let response = request.await.unwrap().unwrap();
            assert_eq!(response.version(), Version::HTTP_2);
            assert_eq!(text(response).await, "hello");
        }
        drop(sender);
        connection.await.unwrap().unwrap();
    });
    assert_eq!(site.accepted(), 1);
}

/// The TLS of hyper-rustls in place of heist's, over a plain connector.
#[test]
fn hyper_rustls_over_the_connector() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let server = tls::Certificate::der(vec![certificate.to_vec()], key.serialize_der());
    let server = tls::Config::builder().certificate(server).build().unwrap();
    let site = Site::new(Options { tls: Some(server) });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    site.run(async {
        // hyper-rustls asks its inner connector for https as well, without TLS.
        let plain = tower::service_fn(|uri: http::Uri| async move {
            let plain = format!("http://{}/", uri.authority().unwrap());
            Connector::new().connect(plain.parse().unwrap()).await
        });
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_all_versions()
            .wrap_connector(plain);
        let client: Client<_, Empty<Bytes>> = client_builder().build(connector);
        let response = client.get(site.uri("https", "/")).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(text(response).await, "hello");
        drop(client);
        until(|| site.connections() == 0).await;
    });
}
