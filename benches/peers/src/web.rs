//! The service of the peers that use hyper.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};

/// Answers every request with a hello.
pub async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, World!")));
    let plain = hyper::header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, plain);
    Ok(response)
}
