//! Clients that send much, and nothing that is wrong: none is cut off by the bounds that are set by default.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use heist_net::http::Body;
use heist_net::server::Limits;
use hyper::body::{Bytes, Frame};
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::client::*;
use crate::site::{Failure, Hello, Site, measure};

/// An answer in many pieces of ten bytes, as of messages of gRPC.
struct Pieces(usize);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"0123456789")))))
    }
}

/// An answer that breaks off at once.
struct Broken;

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::Error::other("as asked"))))
    }
}

fn violations(site: &Site) -> u64 {
    site.settle();
    site.server.metrics().http.unwrap().http2.violations.iter().map(|(_, count)| count).sum()
}

/// Such a client acknowledges each piece, however small, on the stream and on the connection. All of them
/// may come at once, when the client was held up.
#[test]
fn window_updates_for_small_pieces_of_an_answer_are_not_a_flood() {
    let site = crate::site(
        Limits::default(),
        service_fn(async |_: Request<Body>| Ok::<_, Failure>(Response::new(Pieces(5000)))),
    );
    let mut client = site.connect();
    client.begin(&[]);
    for stream in [1, 3, 5, 7] {
        assert_eq!(client.get(stream, "/").1.len(), 50_000);
        let updates = [window_update(stream, 10), window_update(0, 10)].concat();
        client.send(&updates.repeat(5000));
    }
    assert_eq!(client.get(9, "/").0, 200);
    assert_eq!(violations(&site), 0);
}

/// Chromium can send a frame of an unknown type with each request, so that servers stay used to them.
#[test]
fn unknown_frame_with_each_request_is_not_a_flood() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    client.begin(&[]);
    for round in 0..10 {
        let ids = (0..100).map(|n| 1 + 200 * round + 2 * n);
        let unknown = |id| frame(0xb + 0x1f, 0, id, b"grease");
        let burst: Vec<u8> =
            ids.flat_map(|id| [request(id, "/", true), unknown(id)].concat()).collect();
        client.send(&burst);
        let mut answered = 0;
        while answered < 100 {
            answered += usize::from(client.next().expect("it goes on").ends_stream());
        }
    }
    assert_eq!(site.answered(200), 1000);
    assert_eq!(violations(&site), 0);
}

/// The server resets the stream then, and the peer has no part in it.
#[test]
fn answers_that_the_service_breaks_off_are_not_the_fault_of_the_peer() {
    let site = crate::site(
        Limits::default(),
        service_fn(async |_: Request<Body>| Ok::<_, Failure>(Response::new(Broken))),
    );
    let mut client = site.connect();
    client.begin(&[]);
    for n in 0..300 {
        client.send(&request(1 + 2 * n, "/", true));
        assert_eq!(client.until(RST_STREAM).stream, 1 + 2 * n);
    }
    assert_eq!(violations(&site), 0);
    assert!(client.is_open());
}

/// Bodies that are refused are under way when the client learns of it.
#[test]
fn bodies_that_were_refused_are_not_a_flood() {
    let site = crate::site(Limits { max_body: 10, ..Limits::default() }, service_fn(measure));
    let mut client = site.connect();
    // All of it together is less than the connection's window, which this client does not watch.
    client.begin(&[]);
    for round in 0..4 {
        let mut head = block("POST", "/");
        field(&mut head, "content-length", "1000");
        let ids: Vec<u32> = (0..100).map(|n| 1 + 200 * round + 2 * n).collect();
        for id in &ids {
            client.send(&frame(HEADERS, END_HEADERS, *id, &head));
        }
        // They are all answered, and reset.
        site.settle();
        for id in &ids {
            for part in 0..10 {
                let flags = if part == 9 { END_STREAM } else { 0 };
                client.send(&frame(DATA, flags, *id, &[0; 100]));
            }
        }
        site.settle();
    }
    assert_eq!(client.get(1001, "/").0, 200);
    assert_eq!(violations(&site), 0);
}

/// The least that a frame can carry.
#[test]
fn body_in_frames_of_one_byte_is_read() {
    let site = crate::site(Limits::default(), service_fn(measure));
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&request(1, "/", false));
    client.send(&frame(DATA, 0, 1, b"x").repeat(60_000));
    client.send(&frame(DATA, END_STREAM, 1, b"x"));
    assert_eq!(client.answer(1), (200, b"60001".to_vec()));
    assert_eq!(violations(&site), 0);
}

/// As browsers cancel what the user no longer looks at.
#[test]
fn client_that_cancels_a_tenth_of_its_requests_is_not_cut_off() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&window_update(0, 1 << 30));
    for round in 0..200 {
        let ids = (0..100).map(|n| 1 + 200 * round + 2 * n);
        let burst: Vec<u8> = ids
            .flat_map(|id| match id % 20 {
                1 => [request(id, "/", true), reset(id)].concat(),
                _ => request(id, "/", true),
            })
            .collect();
        client.send(&burst);
        let mut answered = 0;
        while answered < 90 {
            let frame = client.next().expect("it goes on");
            answered += usize::from(frame.ends_stream() && frame.stream % 20 != 1);
        }
    }
    assert_eq!(violations(&site), 0);
}
