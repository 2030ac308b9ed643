//! What the guard lets pass is what hyper sees.
//!
//! Requests are taken apart, damaged and cut at random. What passes goes to hyper over a stream in
//! memory, in other pieces, and hyper's service has to see the requests that the guard has seen.
//! `HEIST_GUARD_CASES` sets how many cases are tried, `PROPTEST_RNG_SEED` which.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::{fmt, io};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;

use super::{At, Guard, InputEnd, head, plain_head};
use crate::server::Limits;

/// A request, by what a service sees of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    /// As far as it came.
    body: Vec<u8>,
}

/// What came out of the guard.
#[derive(Debug, PartialEq, Eq)]
struct Passed {
    bytes: Vec<u8>,
    /// Where in `bytes` a message ends, and what came with its end is looked at: all there are if
    /// the bytes come one by one.
    ends: Vec<usize>,
    end: Option<InputEnd>,
}

fn limits() -> Limits {
    Limits { header_bytes: 512, target_bytes: 128, headers: 8, max_body: 64, ..Limits::default() }
}

/// Gives `input` to a guard in pieces of these sizes, in turn. Each is at most as large as the memory
/// that hyper offers.
fn guard(input: &[u8], sizes: &[usize]) -> Passed {
    let (mut guard, limits) = (Guard::default(), limits());
    let mut passed = Passed { bytes: Vec::new(), ends: Vec::new(), end: None };
    let mut sizes = sizes.iter().cycle();
    let mut rest = input;
    while !rest.is_empty() && guard.end().is_none() {
        let size = sizes.next().map_or(1, |size| (*size).clamp(1, rest.len()));
        let (piece, behind) = rest.split_at(size);
        rest = behind;
        if guard.holds() {
            guard.hold(piece, &limits);
        } else {
            let mut piece = piece.to_vec();
            let count = guard.admit(&mut piece, &limits, || false);
            passed.bytes.extend_from_slice(&piece[..count]);
        }
        while !guard.ready().is_empty() {
            let count = guard.ready().len().min(*sizes.next().unwrap_or(&1)).max(1);
            passed.bytes.extend_from_slice(&guard.ready()[..count]);
            guard.pass(count);
        }
        if matches!(guard.at, At::Head) && passed.ends.last() != Some(&passed.bytes.len()) {
            passed.ends.push(passed.bytes.len());
        }
    }
    guard.finish();
    passed.end = guard.end();
    passed
}

/// Takes apart what passed, by its own means: the framing is known to be in order. Each message
/// comes with where it ends.
fn messages(passed: &[u8]) -> Vec<(Seen, usize)> {
    let mut seen = Vec::new();
    let mut rest = passed;
    while !rest.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(rest).expect("a head that passes is in order");
        let length = parsed.is_complete().then(|| parsed.unwrap()).expect("and whole");
        let field = |name: &str| {
            let field = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            field.map(|field| String::from_utf8_lossy(field.value).into_owned())
        };
        let mut message = Seen {
            method: request.method.unwrap().to_owned(),
            target: request.path.unwrap().to_owned(),
            body: Vec::new(),
        };
        rest = match (field("content-length"), field("transfer-encoding")) {
            (None, Some(_)) => dechunked(&rest[length..], &mut message.body),
            (Some(bytes), None) => {
                let (body, behind) = rest[length..]
                    .split_at_checked(bytes.parse().unwrap())
                    .unwrap_or((&rest[length..], &[]));
                message.body = body.to_vec();
                behind
            }
            (None, None) => &rest[length..],
            (Some(_), Some(_)) => panic!("a head with both lengths passes"),
        };
        seen.push((message, passed.len() - rest.len()));
    }
    seen
}

/// Decodes chunks, and returns what is behind the body; nothing if it has no end.
fn dechunked<'b>(mut rest: &'b [u8], body: &mut Vec<u8>) -> &'b [u8] {
    loop {
        let Some(line) = line(&mut rest) else { return &[] };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&line[..digits]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            while let Some(line) = self::line(&mut rest) {
                if line.is_empty() {
                    return rest;
                }
            }
            return &[];
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        let Some((_, behind)) = rest.split_at_checked(size + 2) else { return &[] };
        rest = behind;
    }
}

/// Takes a line with its CRLF off the front.
fn line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}

/// A stream that gives what it has in pieces, and then ends.
struct Memory<'b> {
    input: &'b [u8],
    sizes: Vec<usize>,
    reads: usize,
}

impl Read for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let size = self.sizes.get(self.reads % self.sizes.len().max(1)).copied().unwrap_or(1);
        self.reads += 1;
        let count = size.max(1).min(self.input.len()).min(cursor.remaining());
        let (piece, rest) = self.input.split_at(count);
        cursor.put_slice(piece);
        self.input = rest;
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What hyper's service sees of `bytes`. It answers in a way that keeps the connection open.
fn hyper_sees(bytes: &[u8], sizes: &[usize]) -> Vec<Seen> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        let index = seen.borrow().len();
        seen.borrow_mut().push(Seen {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            body: Vec::new(),
        });
        async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    seen.borrow_mut()[index].body.extend_from_slice(&data);
                }
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"seen"))))
        }
    });
    let stream = Memory { input: bytes, sizes: sizes.to_vec(), reads: 0 };
    let mut builder = http1::Builder::new();
    builder.half_close(true).header_read_timeout(None).max_headers(8).max_header_size(512);
    let mut served = pin!(builder.serve_connection(stream, service));
    let mut cx = Context::from_waker(Waker::noop());
    // It yields after 16 messages, and always has something to read.
    let ended = (0..10_000).any(|_| served.as_mut().poll(&mut cx).is_ready());
    assert!(ended, "hyper does not come to an end");
    seen.take()
}

/// The target of a URI as hyper has parsed it, and as it came, are the same but for the empty path
/// of an absolute one, and for the case of a scheme that is known.
fn normal(mut seen: Vec<Seen>) -> Vec<Seen> {
    for seen in &mut seen {
        if let Ok(uri) = seen.target.parse::<hyper::Uri>() {
            seen.target = uri.to_string();
        }
    }
    seen
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let request = prop_oneof![
        Just("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Just("GET /a?b=c HTTP/1.1\r\nhost: a:80\r\nAccept: */*\r\n\r\n"),
        Just("HEAD http://a/b HTTP/1.1\r\nHost: b\r\n\r\n"),
        Just("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        Just("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        Just("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        Just("GET / HTTP/1.2\nHost: a\n\n"),
        Just("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Just("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        Just("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        Just("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n"),
        Just("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"),
        Just("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Just(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n"
        ),
        Just(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n002 \r\nhi\r\n00;\r\nX: y\r\nZ:\r\n\r\n"
        ),
        Just(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: 1\n\r\n"
        ),
        Just(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        Just(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        Just("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    vec(request, 1..6).prop_map(|requests| requests.concat().into_bytes())
}

/// What is put somewhere, or in place of something.
fn splinters() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..3),
        prop_oneof![
            Just("\r\n"),
            Just("\n"),
            Just("\r"),
            Just("\r\n\r\n"),
            Just(" "),
            Just("\t"),
            Just(":"),
            Just(","),
            Just(";"),
            Just("0"),
            Just("1"),
            Just("F"),
            Just("%"),
            Just("/"),
            Just("#"),
            Just("*"),
            Just("chunked"),
            Just("Content-Length: 3\r\n"),
            Just("Host: b\r\n"),
            Just("Transfer-Encoding: chunked\r\n"),
            Just("x: y\r\n"),
            Just("\0"),
            Just("0\r\n\r\n"),
            Just("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
            Just("HTTP/1.1"),
            Just("[::1]"),
            Just("ffffffffffffffff"),
            Just("http://"),
            Just("@"),
            Just("\u{e9}"),
            Just("\x7f"),
        ]
        .prop_map(|text| text.as_bytes().to_vec()),
        (1..600usize).prop_map(|length| vec![b'a'; length]),
    ]
}

/// What a peer sends.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

fn inputs() -> impl Strategy<Value = Input> {
    (requests(), damages()).prop_map(|(requests, damages)| Input(damaged(requests, &damages)))
}

fn plain_inputs() -> impl Strategy<Value = Input> {
    let heads = proptest::sample::select(PLAIN_HEADS.as_slice());
    (heads, damages()).prop_map(|(head, damages)| Input(damaged(head.into(), &damages)))
}

/// A place in the bytes, how many to take out there, and what to put in.
type Damage = (Index, usize, Vec<u8>);

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    vec((any::<Index>(), 0..4usize, splinters()), 0..4)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for (place, out, splinter) in damages {
        let place = place.index(bytes.len() + 1);
        bytes = spliced(bytes, place, *out, splinter);
    }
    bytes
}

fn spliced(mut bytes: Vec<u8>, place: usize, out: usize, splinter: &[u8]) -> Vec<u8> {
    let to = (place + out).min(bytes.len());
    bytes.splice(place..to, splinter.iter().copied());
    bytes
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..4usize, 1..40usize, Just(8192)], 1..6)
}

fn cases() -> Config {
    let cases = std::env::var("HEIST_GUARD_CASES").ok().and_then(|cases| cases.parse().ok());
    Config { cases: cases.unwrap_or(4096), failure_persistence: None, ..Config::default() }
}

/// Failure: two readers of one connection see different messages in it (hyper 1.12 looks for the
/// end of a trailer section where its parser does not).
fn check(input: &[u8], sizes: &[usize], others: &[usize]) -> Result<(), TestCaseError> {
    let passed = guard(input, sizes);
    let (by_guard, ends): (Vec<_>, Vec<_>) = messages(&passed.bytes).into_iter().unzip();
    let mut found = guard(input, &[1]).ends;
    found.retain(|end| *end > 0 && *end <= passed.bytes.len());
    // The last one may not be whole.
    prop_assert!(ends.starts_with(&found) && ends.len() <= found.len() + 1, "{ends:?} {found:?}");
    let by_hyper = hyper_sees(&passed.bytes, others);
    prop_assert!(by_hyper.len() <= by_guard.len(), "{by_guard:?} and by hyper {by_hyper:?}");
    // hyper ends a connection where a message says so; up to there they are the same.
    let closes = by_hyper.len() < by_guard.len();
    prop_assert!(!closes || says_close(&passed.bytes), "{by_guard:?} and by hyper {by_hyper:?}");
    let by_guard = normal(by_guard)[..by_hyper.len()].to_vec();
    prop_assert_eq!(by_guard, normal(by_hyper));
    Ok(())
}

/// Whether hyper may end the connection before the end of the bytes.
fn says_close(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    text.contains("http/1.0") || text.contains("close")
}

/// Failure: a head that the short way takes is one that the long way refuses, or reads otherwise.
fn check_plain_head(input: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    let Some(plain) = plain_head::read(input, limits) else { return Ok(()) };
    let mut bytes = input.to_vec();
    prop_assert_eq!(Ok(Some(plain)), head::read(&mut bytes, limits), "{:?}", Input(input.to_vec()));
    prop_assert_eq!(&bytes, input);
    Ok(())
}

/// Heads of common clients, and of each kind of field that is looked at.
const PLAIN_HEADS: [&str; 6] = [
    "GET /keys/a HTTP/1.1\r\nHost: 127.0.0.1:41234\r\n\r\n",
    "GET /a/b?c=d&e HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n",
    "POST /_x-y.z~ HTTP/1.1\r\nhost:a\r\ncontent-length: 5\r\nexpect: 100-continue  \r\n\r\nhello",
    "PUT /%20 HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "DELETE / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HEAD /? HTTP/1.1\r\nX-Empty:\r\nX-Text: \"!~\"; q=0.8, (b)\r\nHost: a\r\n\r\n",
];

#[test]
fn heads_of_common_clients_are_read_the_short_way() {
    for head in PLAIN_HEADS {
        assert!(plain_head::read(head.as_bytes(), &limits()).is_some(), "{head}");
        check_plain_head(head.as_bytes(), &limits()).unwrap();
    }
}

#[test]
fn no_byte_makes_the_short_way_differ_from_the_long_way() {
    for head in PLAIN_HEADS {
        for place in 0..=head.len() {
            for byte in 0..=u8::MAX {
                for out in 0..=1 {
                    let input = spliced(head.into(), place, out, &[byte]);
                    check_plain_head(&input, &limits()).unwrap();
                }
            }
        }
    }
}

#[test]
fn no_limit_makes_the_short_way_differ_from_the_long_way() {
    for head in PLAIN_HEADS {
        for limit in 0..=head.len() {
            let limit_of = |set: fn(&mut Limits, usize)| {
                let mut limits = limits();
                set(&mut limits, limit);
                limits
            };
            for limits in [
                limit_of(|limits, limit| limits.header_bytes = limit),
                limit_of(|limits, limit| limits.target_bytes = limit),
                limit_of(|limits, limit| limits.headers = limit),
                limit_of(|limits, limit| limits.max_body = limit as u64),
            ] {
                check_plain_head(head.as_bytes(), &limits).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_short_way_reads_a_head_as_the_long_way(
        input in prop_oneof![inputs(), plain_inputs()],
    ) {
        check_plain_head(&input.0, &limits())?;
        // As long as all of them fit.
        check_plain_head(&input.0, &Limits::default())?;
    }

    #[test]
    fn hyper_sees_the_requests_that_the_guard_lets_pass(
        input in inputs(),
        sizes in sizes(),
        others in sizes(),
    ) {
        check(&input.0, &sizes, &others)?;
    }

    /// Cut otherwise, the same passes for the same reason, but that a head may pass or not whose
    /// body is refused.
    #[test]
    fn cuts_change_nothing(
        input in inputs(),
        sizes in sizes(),
    ) {
        let (cut, whole) = (guard(&input.0, &sizes), guard(&input.0, &[8192]));
        match (cut.end, whole.end) {
            (Some(InputEnd::Broken(one)), Some(InputEnd::Refused { refusal: other, .. })) => {
                prop_assert_eq!(one, other);
                prop_assert!(cut.bytes.starts_with(&whole.bytes));
            }
            // What of a head is found first depends on how much of it is there; and of a part of one
            // only the front is looked at before the end comes.
            (Some(InputEnd::Refused { .. } | InputEnd::InHead), Some(InputEnd::Refused { .. })) => {
                prop_assert_eq!(&cut.bytes, &whole.bytes);
            }
            _ => {
                prop_assert_eq!(cut.end, whole.end);
                prop_assert_eq!(&cut.bytes, &whole.bytes);
            }
        }
    }
}

#[test]
fn bytes_that_are_put_back_pass_again_before_those_that_follow() {
    let (mut guard, limits) = (Guard::default(), limits());
    guard.put_back(b"body of the request before");
    guard.hold(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET", &limits);
    let passed = guard.ready().to_vec();
    assert_eq!(passed, b"body of the request beforeGET / HTTP/1.1\r\nhost: a\r\n\r\n");
    guard.pass(passed.len());
    assert!(guard.ready().is_empty() && guard.holds());
}
