//! One request as a line.
//!
//! All text from a client is escaped: bytes outside of printable ASCII become `\xHH`, quotes and
//! backslashes `\"` and `\\`, and each text has a maximal length. So whatever was sent, an entry is
//! one line with its fields in order, and contains no control sequences for a terminal.

use std::fmt::{Display, Write};
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use heist::server::Peer;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Uri, Version};

use super::clock::Moment;
use super::ids;

/// The format of lines of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The Common Log Format, followed by seconds, outcome, request id and traceparent.
    Common,
    /// One JSON object a line.
    Json,
}

/// What is known of a request when its answer has ended.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) peer: Peer,
    /// `None` if the request had no readable head.
    pub(crate) head: Option<Head>,
    /// `None` without an answer.
    pub(crate) status: Option<u16>,
    /// Length of the part of the answer's body that was given to the connection.
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    pub(crate) outcome: &'static str,
}

/// The fields of a request that are recorded.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) request_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) user_agent: Option<HeaderValue>,
}

impl Head {
    /// Without fields from headers.
    pub(crate) fn new(method: &Method, uri: &Uri, version: Version) -> Head {
        Head {
            method: method.clone(),
            uri: uri.clone(),
            version,
            request_id: None,
            traceparent: None,
            host: None,
            user_agent: None,
        }
    }

    /// Adds the fields from `headers`, and a generated request id if they have none.
    pub(crate) fn with_headers(self, headers: &HeaderMap) -> Head {
        Head {
            request_id: Some(ids::request_id(headers)),
            traceparent: ids::traceparent(headers),
            host: headers.get(HOST).cloned().or_else(|| self.authority()),
            user_agent: headers.get(USER_AGENT).cloned(),
            ..self
        }
    }

    /// The first line of the request, escaped.
    pub(crate) fn request_line(&self) -> String {
        format!("{} {} {:?}", self.method(), self.target(), self.version)
    }

    /// The host of a request in HTTP/2, where the target has it.
    fn authority(&self) -> Option<HeaderValue> {
        let authority = self.uri.authority().filter(|_| self.is_multiplexed())?;
        HeaderValue::from_str(authority.as_str()).ok()
    }

    /// Whether other requests go on when this one breaks off.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.version == Version::HTTP_2
    }

    fn method(&self) -> String {
        clean(self.method.as_str().as_bytes(), MOST_OF_A_METHOD)
    }

    fn target(&self) -> String {
        match self.uri.path_and_query() {
            // The common case, without a copy. In HTTP/2 each target has an authority.
            Some(target) if self.uri.authority().is_none() || self.is_multiplexed() => {
                clean(target.as_str().as_bytes(), MOST_OF_A_TARGET)
            }
            _ => clean(self.uri.to_string().as_bytes(), MOST_OF_A_TARGET),
        }
    }
}

impl Entry {
    /// The line, with its line feed.
    pub(super) fn line(&self, format: Format) -> String {
        // The answer ends now; the formats show when the request arrived.
        let time = SystemTime::now().checked_sub(self.took).unwrap_or(SystemTime::UNIX_EPOCH);
        match format {
            Format::Common => self.common(&Moment::of(time)),
            Format::Json => self.json(&Moment::of(time)),
        }
    }

    fn common(&self, time: &Moment) -> String {
        let mut line = String::with_capacity(256);
        match self.peer.ip() {
            Some(address) => put(&mut line, format_args!("{address} - - [")),
            None => line.push_str("unix - - ["),
        }
        time.common(&mut line);
        let request = self.head.as_ref().map_or_else(|| "-".to_owned(), Head::request_line);
        put(&mut line, format_args!("] \"{request}\" "));
        match self.status {
            Some(status) => put(&mut line, status),
            None => line.push('-'),
        }
        let (bytes, took) = (self.bytes, self.took.as_secs_f64());
        put(&mut line, format_args!(" {bytes} {took:.6} {}", self.outcome));
        for id in [self.request_id(), self.traceparent()] {
            put(&mut line, format_args!(" {}", id.unwrap_or("-")));
        }
        line.push('\n');
        line
    }

    fn json(&self, time: &Moment) -> String {
        let head = self.head.as_ref();
        let text = |value: Option<&HeaderValue>| {
            value.map(|value| clean(value.as_bytes(), MOST_OF_A_HEADER))
        };
        let object = serde_json::json!({
            "time": time.rfc3339(),
            "peer": self.peer.to_string(),
            "method": head.map(Head::method),
            "target": head.map(Head::target),
            "version": head.map(|head| format!("{:?}", head.version)),
            "status": self.status,
            "bytes": self.bytes,
            "duration_seconds": self.took.as_secs_f64(),
            "outcome": self.outcome,
            "request_id": self.request_id(),
            "traceparent": self.traceparent(),
            "host": text(head.and_then(|head| head.host.as_ref())),
            "user_agent": text(head.and_then(|head| head.user_agent.as_ref())),
        });
        format!("{object}\n")
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.head.as_ref()?.request_id.as_deref()
    }

    fn traceparent(&self) -> Option<&str> {
        self.head.as_ref()?.traceparent.as_deref()
    }
}

/// `bytes` as printable ASCII with quotes escaped, in at most `most` characters and an ellipsis.
fn clean(bytes: &[u8], most: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(most));
    for &byte in bytes {
        let start = text.len();
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => put(&mut text, format_args!("\\x{byte:02x}")),
        }
        if text.len() > most {
            text.truncate(start);
            text.push_str("...");
            break;
        }
    }
    text
}

fn put(text: &mut String, what: impl Display) {
    write!(text, "{what}").expect("writing to a string does not fail");
}

const MOST_OF_A_METHOD: usize = 32;
const MOST_OF_A_TARGET: usize = 2048;
const MOST_OF_A_HEADER: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &'static [u8]) -> Entry {
        let uri = Uri::from_maybe_shared(target).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ids::REQUEST_ID, HeaderValue::from_static("id-7"));
        headers.insert(USER_AGENT, HeaderValue::from_bytes(b"evil\"\x80\\agent").unwrap());
        Entry {
            peer: Peer::Tcp("[::ffff:10.0.0.1]:5".parse().unwrap()),
            head: Some(Head::new(&Method::GET, &uri, Version::HTTP_11).with_headers(&headers)),
            status: Some(200),
            bytes: 12,
            took: Duration::from_micros(1500),
            outcome: "complete",
        }
    }

    #[test]
    fn common_line_has_the_fields_of_the_format_in_their_places() {
        let line = entry(b"/a\"b?c").line(Format::Common);
        let (before, after) = line.split_once('[').unwrap();
        assert_eq!(before, "10.0.0.1 - - ");
        let (_, after) = after.split_once("] ").unwrap();
        assert_eq!(after, "\"GET /a\\\"b?c HTTP/1.1\" 200 12 0.001500 complete id-7 -\n");
        let broken = Entry { head: None, status: None, peer: Peer::Unix, ..entry(b"/") };
        let line = broken.line(Format::Common);
        assert!(line.starts_with("unix - - [") && line.contains("] \"-\" - 12 "), "{line}");
    }

    #[test]
    fn json_line_is_an_object_of_the_same() {
        let line = entry(b"http://a/b").line(Format::Json);
        assert_eq!(line.lines().count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["target"], "http://a/b");
        assert_eq!(object["peer"], "[::ffff:10.0.0.1]:5");
        assert_eq!((&object["status"], &object["bytes"]), (&200.into(), &12.into()));
        assert_eq!(object["user_agent"], "evil\\\"\\x80\\\\agent");
        assert_eq!(object["traceparent"], serde_json::Value::Null);
    }

    /// Failure: the log shows the target of HTTP/2 as a URL, and no host.
    #[test]
    fn request_of_http2_is_shown_as_one_of_http1() {
        let uri = "https://h.example/x?y".parse().unwrap();
        let head = Head::new(&Method::GET, &uri, Version::HTTP_2).with_headers(&HeaderMap::new());
        assert_eq!(head.request_line(), "GET /x?y HTTP/2.0");
        assert_eq!(head.host.unwrap(), "h.example");
    }

    /// Failure: a client writes lines of its own into the log.
    #[test]
    fn nothing_that_a_client_sends_ends_a_field_or_a_line() {
        let all: Vec<u8> = (0..=255).collect();
        let text = clean(&all, 10_000);
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert!(text.contains("\\x0a") && text.contains("\\x1b") && text.contains("\\xff"));
        assert!(text.contains("\\\"") && text.contains("\\\\"));
        assert_eq!(clean(&[b'x'; 5000], 2048).len(), 2051);
        // An escape is not cut in the middle.
        assert_eq!(clean(&[0; 10], 10), "\\x00\\x00...");
    }
}
