//! Requests and their answers.

use heist_net::http::{Body, DrainSignal, Http};
use heist_net::server::{CloseKind, Limits, Peer};
use hyper::service::service_fn;
use hyper::{Request, Version};

use crate::client::*;
use crate::site::{Failure, Hello, Site, measure, reply};

#[test]
fn request_is_answered_and_its_extensions_are_there() {
    let site = crate::site(
        Limits::default(),
        service_fn(async |request: Request<Body>| {
            assert_eq!(request.version(), Version::HTTP_2);
            assert!(request.extensions().get::<Peer>().is_some());
            assert!(request.extensions().get::<DrainSignal>().is_some());
            Ok::<_, Failure>(reply(request.uri().path().to_owned()))
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    for (stream, path) in [(1, "/one"), (3, "/two"), (5, "/three")] {
        assert_eq!(client.get(stream, path), (200, path.as_bytes().to_vec()));
    }
    site.settle();
    let http2 = site.server.metrics().http.unwrap().http2;
    assert_eq!((http2.streams, http2.open_streams), (3, 0));
}

#[test]
fn body_is_read_and_measured() {
    let site = crate::site(Limits::default(), service_fn(measure));
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&request(1, "/", false));
    client.send(&frame(DATA, 0, 1, &[7; 1000]));
    client.send(&frame(DATA, END_STREAM, 1, &[7; 500]));
    assert_eq!(client.answer(1), (200, b"1500".to_vec()));
}

/// Failure: a service that reads one field of a cookie sees one pair of it (RFC 9113, 8.2.3).
#[test]
fn cookie_in_several_fields_is_one_field() {
    let cookies = service_fn(async |request: Request<Body>| {
        let fields = request.headers().get_all("cookie").iter();
        let fields: Vec<&str> = fields.map(|field| field.to_str().unwrap()).collect();
        Ok::<_, Failure>(reply(fields.join("|")))
    });
    let site = crate::site(Limits::default(), cookies);
    let mut client = site.connect();
    client.begin(&[]);
    for (stream, pairs, joined) in [
        (1, &[][..], ""),
        (3, &["a=b"], "a=b"),
        (5, &["a=b", "c=d; e=f", "g="], "a=b; c=d; e=f; g="),
    ] {
        let mut head = block("GET", "/");
        pairs.iter().for_each(|pair| field(&mut head, "cookie", pair));
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
        assert_eq!(client.answer(stream), (200, joined.as_bytes().to_vec()));
    }
}

#[test]
fn version_is_that_of_the_first_bytes_where_prior_knowledge_is_allowed() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    client.send(b"PROPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let _ = client.goaway();
    assert_eq!(site.answered(200), 1);
    // Byte by byte.
    let mut client = site.connect();
    for byte in PREFACE.iter().chain(&settings(&[(1, 0)])).chain(&request(1, "/", true)) {
        client.send(&[*byte]);
        site.settle();
    }
    assert_eq!(client.answer(1), (200, b"hello".to_vec()));
}

#[test]
fn preface_is_refused_where_prior_knowledge_is_not_allowed() {
    let site = Site::serving(|_| false, Limits::default(), Http::new(Hello::default()));
    let mut client = site.connect();
    client.begin(&[]);
    assert_eq!(client.goaway(), None);
    assert_eq!(site.answered(505), 1);
    drop(client);
    assert_eq!(site.closed(CloseKind::Protocol), 1);
}
