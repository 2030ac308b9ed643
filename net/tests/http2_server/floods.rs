//! Peers that send too much of one kind, and peers that send as much as is allowed.

use heist_net::server::{Allowance, CloseKind, Http2Limits, Limits};
use hyper::service::service_fn;

use crate::client::*;
use crate::site::{Hello, Site, measure};

/// Three at once of each kind, and no more later.
fn three() -> Limits {
    let three = Allowance::new(3, 0);
    let http2 = Http2Limits {
        streams: 4,
        resets: three,
        refused_streams: three,
        stream_errors: three,
        settings: three,
        pings: three,
        priorities: three,
        window_updates: three,
        small_window_updates: three,
        empty_frames: three,
        unknown_frames: three,
        ..Http2Limits::default()
    };
    Limits { http2, ..Limits::default() }
}

/// A site with bounds of three, and a client there that has sent its preface.
fn begun() -> (Site, Client) {
    begun_with(three())
}

fn begun_with(limits: Limits) -> (Site, Client) {
    let site = crate::site(limits, Hello::default());
    let mut client = site.connect();
    client.begin(&[]);
    (site, client)
}

/// Sends `frame` as often as is allowed, whereupon the connection works, then once more.
fn passes_then_fails(limits: Limits, kind: &str, allowed: usize, frame: &[u8]) {
    let (site, mut client) = begun_with(limits.clone());
    client.send(&frame.repeat(allowed));
    assert_eq!(client.get(1001, "/").0, 200, "{kind}: what is allowed was refused");
    assert_eq!(violations(&site, kind), 0);
    let (site, mut client) = begun_with(limits);
    client.send(&frame.repeat(allowed + 1));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM), "{kind}");
    drop(client);
    assert_eq!(violations(&site, kind), 1, "{kind}");
    assert_eq!(site.closed(CloseKind::Http2Flood), 1, "{kind}");
}

fn violations(site: &Site, kind: &str) -> u64 {
    site.settle();
    site.server.metrics().http.unwrap().http2.violations_of(kind)
}

/// Failure 62: frames that cost their sender nothing, and the server work for each.
#[test]
fn frames_beyond_their_allowance_end_the_connection() {
    // The client's own SETTINGS is the first.
    passes_then_fails(three(), "settings", 2, &settings(&[(3, 100)]));
    passes_then_fails(three(), "pings", 3, &frame(PING, 0, 0, &[7; 8]));
    passes_then_fails(three(), "priorities", 3, &frame(PRIORITY, 0, 9, &[0, 0, 0, 0, 1]));
    passes_then_fails(three(), "window_updates", 3, &window_update(0, 1000));
    let http2 = Http2Limits { window_updates: Allowance::new(10, 0), ..three().http2 };
    let many = Limits { http2, ..Limits::default() };
    passes_then_fails(many, "small_window_updates", 3, &window_update(0, 127));
    passes_then_fails(three(), "unknown_frames", 3, &frame(0xbb, 0, 0, b"grease"));
}

#[test]
fn acknowledgements_are_not_counted() {
    let (site, mut client) = begun();
    client.send(&frame(PING, ACK, 0, &[7; 8]).repeat(100));
    assert_eq!(client.get(1, "/").0, 200);
    assert_eq!(violations(&site, "pings"), 0);
}

#[test]
fn long_settings_frame_counts_as_several() {
    let (site, mut client) = begun();
    client.send(&settings(&[(3, 100); 21]));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(violations(&site, "settings"), 1);
}

#[test]
fn empty_frames_of_a_body_are_bounded() {
    for (empty, ends) in [(3, false), (4, true)] {
        let site = crate::site(three(), service_fn(measure));
        let mut client = site.connect();
        client.begin(&[]);
        client.send(&request(1, "/", false));
        // One of them has padding.
        client.send(&frame(DATA, 0, 1, &[]).repeat(empty - 1));
        client.send(&frame(DATA, 8, 1, &[3, 0, 0, 0]));
        match ends {
            true => {
                assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
                assert_eq!(violations(&site, "empty_frames"), 1);
            }
            false => {
                client.send(&frame(DATA, END_STREAM, 1, &[]));
                assert_eq!(client.answer(1), (200, b"0".to_vec()));
            }
        }
    }
}

/// Failure 60: CVE-2023-44487.
#[test]
fn rapid_reset_ends_the_connection_and_answers_give_credit() {
    let (site, mut client) = begun();
    for stream in [1, 3, 5] {
        client.send(&[request(stream, "/", true), reset(stream)].concat());
    }
    // Its answer allows for one more.
    assert_eq!(client.get(7, "/").0, 200);
    client.send(&[request(9, "/", true), reset(9)].concat());
    assert_eq!(violations(&site, "resets"), 0);
    client.send(&[request(11, "/", true), reset(11)].concat());
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(violations(&site, "resets"), 1);
}

/// Failure: the peer makes the server reset its streams, which no bound on its own resets counts
/// (CVE-2025-8671).
#[test]
fn stream_errors_that_the_peer_provokes_end_the_connection() {
    let (site, mut client) = begun();
    for stream in [1, 3, 5, 7, 9, 11] {
        // A window that overflows is a stream error.
        let overflow = window_update(stream, (1 << 31) - 1);
        if !client.try_send(&[request(stream, "/", false), overflow].concat()) {
            break;
        }
    }
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(violations(&site, "stream_errors"), 1);
}

/// Failure 61: RUSTSEC-2024-0332.
#[test]
fn continuation_flood_ends_the_connection() {
    let (site, mut client) = begun();
    let block = block("GET", "/");
    client.send(&frame(HEADERS, END_STREAM, 1, &block[..3]));
    client.send(&frame(CONTINUATION, 0, 1, &block[3..4]));
    client.send(&frame(CONTINUATION, 0, 1, &block[4..5]));
    client.send(&frame(CONTINUATION, END_HEADERS, 1, &block[5..]));
    assert_eq!(client.answer(1).0, 200);
    client.send(&frame(HEADERS, END_STREAM, 3, &block));
    let mut more = Vec::new();
    field(&mut more, "x", "y");
    client.send(&frame(CONTINUATION, 0, 3, &more).repeat(6));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(violations(&site, "continuations"), 1);
    assert_eq!(violations(&site, "header_block"), 0);
}

#[test]
fn header_block_without_end_is_bounded_in_bytes() {
    let (site, mut client) = begun();
    client.send(&frame(HEADERS, 0, 1, &block("GET", "/")));
    let mut more = Vec::new();
    field(&mut more, "x", &"y".repeat(16_000));
    for _ in 0..4 {
        client.try_send(&frame(CONTINUATION, 0, 1, &more));
    }
    client.try_send(&frame(CONTINUATION, 0, 1, &more));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(violations(&site, "header_block"), 1);
}

#[test]
fn frame_beyond_the_greatest_length_ends_the_connection() {
    let (site, mut client) = begun();
    client.send(&frame(DATA, 0, 1, &vec![0; 16 * 1024 + 1]));
    assert_eq!(client.goaway(), Some(FRAME_SIZE_ERROR));
    assert_eq!(violations(&site, "frame_size"), 1);
    drop(client);
    assert_eq!(site.closed(CloseKind::Protocol), 1);
}

#[test]
fn streams_beyond_the_bound_are_refused_and_bounded_too() {
    let held = service_fn(async |_: hyper::Request<heist_net::http::Body>| {
        std::future::pending::<Result<crate::site::Reply, crate::site::Failure>>().await
    });
    let site = crate::site(three(), held);
    let mut client = site.connect();
    client.begin(&[]);
    for stream in (1..15).step_by(2) {
        client.send(&request(stream, "/", true));
    }
    // Four are open: three are refused.
    for _ in 0..3 {
        assert_eq!(client.until(RST_STREAM).number(0), 7);
    }
    assert_eq!(violations(&site, "refused_streams"), 0);
    client.send(&request(15, "/", true));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(violations(&site, "refused_streams"), 1);
}

/// What is legal and looks like an attack at first sight passes with the bounds that are set by default.
#[test]
fn busy_clients_are_not_cut_off() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    // As Firefox begins: a window, and six frames of PRIORITY for streams that it never opens.
    client.begin(&[(4, 131_072), (5, 16_384)]);
    client.send(&window_update(0, 12_517_377));
    for stream in (3..15).step_by(2) {
        client.send(&frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 200]));
    }
    let mut stream = 15;
    for _ in 0..100 {
        // A hundred requests at once, each with a window of its own, then a PING.
        let burst: Vec<u8> = (0..100)
            .flat_map(|n| {
                let id = stream + 2 * n;
                [request(id, "/", true), window_update(id, 100_000)].concat()
            })
            .chain(frame(PING, 0, 0, &[1; 8]))
            .collect();
        client.send(&burst);
        let mut answered = 0;
        while answered < 100 {
            answered += usize::from(client.next().expect("it goes on").ends_stream());
        }
        stream += 200;
    }
    assert_eq!(site.answered(200), 10_000);
}
