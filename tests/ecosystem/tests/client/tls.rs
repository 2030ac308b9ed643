//! The pool behind TLS.

use std::sync::Arc;

use heist::tls::TlsInfo;
use heist_hyper_util::{Connector, client};
use http::Version;

use crate::site::{GUARD, Requests, Site, certified, chain, text, until};

/// Failure: with HTTP/2 each request has a connection of its own.
#[test]
fn requests_of_http2_share_one_connection() {
    let (site, config) = Site::tls();
    site.run(async {
        let client: Requests = client(Connector::new().tls(config).connect_timeout(GUARD));
        let response = client.get(site.uri("https", "/")).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        let info = response.extensions().get::<Arc<TlsInfo>>().unwrap();
        assert_eq!(info.alpn.as_deref(), Some(&b"h2"[..]));
        assert_eq!(text(response).await, "hello");
        let requests: Vec<_> =
            (0..100).map(|_| heist::spawn(client.get(site.uri("https", "/wait")))).collect();
        until(|| site.in_flight() == 100).await;
        site.open_gate();
        for request in requests {
            assert_eq!(text(request.await.unwrap().unwrap()).await, "hello");
        }
    });
    assert_eq!(site.accepted(), 1);
}

#[test]
fn protocols_of_the_configuration_are_kept() {
    let (site, config) = Site::tls();
    site.run(async {
        let client: Requests =
            client(Connector::new().tls(config.with_alpn(["http/1.1"])).connect_timeout(GUARD));
        let response = client.get(site.uri("https", "/")).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        assert_eq!(text(response).await, "hello");
    });
}

/// Failure: a client takes any certificate, or its error says no more than that something has failed.
#[test]
fn wrong_certificate_is_a_clear_error() {
    let (site, config) = Site::tls();
    let (_, stranger) = certified();
    site.run(async {
        let requests: Requests = client(Connector::new().tls(stranger).connect_timeout(GUARD));
        let error = requests.get(site.uri("https", "/")).await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains("the certificate of localhost is refused"), "{text}");

        let requests: Requests = client(Connector::new().tls(config).connect_timeout(GUARD));
        let uri = format!("https://127.0.0.1:{}/", site.address().port());
        let error = requests.get(uri.parse().unwrap()).await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains("the certificate of 127.0.0.1 is refused"), "{text}");
    });
    assert_eq!(site.server.metrics().http.unwrap().begun, 0);
}
