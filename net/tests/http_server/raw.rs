//! The answers to raw bytes, from the table in `raw.txt`.

use heist_net::http::Body;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::service::service_fn;

use crate::client::Client;
use crate::site::{Failure, Reply, Site, reply};

/// A paragraph of the table.
#[derive(Debug, Default)]
struct Case {
    name: String,
    /// The codes, and then `open`, `close` or `wait`.
    want: String,
    send: Vec<u8>,
    half: bool,
}

/// Failure: two servers disagree on where a request begins or ends.
#[test]
fn raw_bytes_are_answered_as_promised() {
    let site = Site::new(service_fn(describe));
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let failed: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let got = answers(&site, case);
            (got != case.want).then(|| format!("{}: {got}, not {}", case.name, case.want))
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Reads the body, and answers with a description of the request.
async fn describe(request: Request<Body>) -> Result<Reply, Failure> {
    let head = format!("{} {}", request.method(), request.uri());
    let length = request.into_body().collect().await?.to_bytes().len();
    Ok(reply(format!("{head} {length}")))
}

/// Sends the bytes of a case, and returns the outcome in the words of the table.
fn answers(site: &Site, case: &Case) -> String {
    let mut client = site.connect();
    // The server may close before it has read all.
    client.try_send(&case.send);
    if case.half {
        client.stop_sending();
    }
    let state = case.want.rsplit(' ').next().unwrap_or_default();
    match state {
        "close" => words(&client.rest(), "close"),
        "wait" => {
            let wanted = case.want.split(' ').count() - 1;
            let mut came = Vec::new();
            for _ in 0..wanted {
                came.extend(client.until(b"\r\n\r\n"));
            }
            site.settle();
            words(&came, if client.is_quiet() { "wait" } else { "more" })
        }
        _ => {
            client.try_send(END);
            let came = client.rest();
            match came.ends_with(b"GET /the-end 0") {
                true => words(&came, "open").replacen(" 200 open", " open", 1),
                false => words(&came, "close"),
            }
        }
    }
}

const END: &[u8] = b"GET /the-end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The codes of all answers, and the final state.
fn words(bytes: &[u8], state: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut words: Vec<_> = text
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| text.get(at + 9..at + 12))
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    words.push(state);
    words.join(" ")
}

fn cases() -> Vec<Case> {
    let table = include_str!("raw.txt");
    let paragraphs = table.split("\n\n").filter(|one| !one.trim_start().starts_with('#'));
    paragraphs.map(case).collect()
}

fn case(paragraph: &str) -> Case {
    let mut case = Case::default();
    for line in paragraph.trim().lines() {
        let (key, value) = line.split_once(':').expect("a line of a case has a key");
        let value = value.strip_prefix(' ').unwrap_or(value);
        match key {
            "name" => case.name = value.to_owned(),
            "want" => case.want = value.to_owned(),
            "send" => case.send = unescaped(&repeated(value)),
            "half" => case.half = value == "yes",
            "source" => assert!(value.starts_with("RFC "), "{value}"),
            other => panic!("{other} is no key of a case"),
        }
    }
    assert!(!case.name.is_empty() && !case.want.is_empty(), "{paragraph}");
    case
}

/// Expands repetitions.
fn repeated(text: &str) -> String {
    let Some((front, rest)) = text.split_once('{') else { return text.to_owned() };
    let (inner, behind) = rest.split_once('}').expect("what is repeated has an end");
    let (inner, count) = inner.rsplit_once('*').expect("and a number");
    format!("{front}{}{}", inner.repeat(count.parse().unwrap()), repeated(behind))
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'\\', [b'r', behind @ ..]) => (b'\r', behind),
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b't', behind @ ..]) => (b'\t', behind),
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digits = String::from_utf8(vec![*high, *low]).unwrap();
                (u8::from_str_radix(&digits, 16).unwrap(), behind)
            }
            (b'\\', _) => panic!("an escape that is none in {text}"),
            (byte, behind) => (*byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

impl Client {
    /// Sends, unless the server has closed.
    fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.write(bytes);
    }
}
