//! The answer to a message that hyper must not see.

use std::error::Error;
use std::fmt::{self, Write};
use std::time::SystemTime;

use hyper::StatusCode;

/// A status and a reason, in place of an answer of the service. The connection closes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// One line for the developer of the client.
    pub(crate) reason: &'static str,
}

impl Refusal {
    /// 400: the bytes are not a request.
    pub(super) const fn malformed(reason: &'static str) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reason }
    }

    /// 501: a request for what this server does not do.
    pub(super) const fn not_implemented(reason: &'static str) -> Refusal {
        Refusal { status: StatusCode::NOT_IMPLEMENTED, reason }
    }

    pub(super) const BODY_TOO_LONG: Refusal =
        Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, reason: "the body is too long" };
    pub(super) const TARGET_TOO_LONG: Refusal =
        Refusal { status: StatusCode::URI_TOO_LONG, reason: "the request target is too long" };
    pub(super) const FIELDS_TOO_LARGE: Refusal = Refusal {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        reason: "the header section is too large",
    };
    pub(super) const UNKNOWN_VERSION: Refusal = Refusal {
        status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        reason: "this server speaks HTTP/1.0 and HTTP/1.1",
    };

    /// The whole response. `with_content` is false in answer to `HEAD`, which takes no content.
    pub(crate) fn response(self, with_content: bool) -> Vec<u8> {
        let Refusal { status, reason } = self;
        let date = httpdate::HttpDate::from(SystemTime::now());
        let mut text = String::with_capacity(256);
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "HTTP/1.1 {} {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
             connection: close\r\ndate: {date}\r\n\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
            reason.len() + 1,
        );
        if with_content {
            text.push_str(reason);
            text.push('\n');
        }
        text.into_bytes()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl Error for Refusal {}
