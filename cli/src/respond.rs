//! Responses whose body is known.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

/// A response in plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, TEXT, text)
}

/// The response to a method that a path does not support; `allowed` lists those it does.
pub(crate) fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let response = text(StatusCode::METHOD_NOT_ALLOWED, "this path does not support the method\n");
    allowing(allowed, response)
}

/// The response to `OPTIONS *`: the methods of this server.
pub(crate) fn options(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    allowing(allowed, response)
}

fn allowing(methods: &'static str, mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

/// A response with `content`.
pub(crate) fn respond(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
