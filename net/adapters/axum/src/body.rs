//! A request's body as axum takes it.

use std::error::Error;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::{Body, Bytes};
use heist_net::http::{self, BodyError};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body as _;

/// The body of axum that reads `body`. An empty one is not allocated.
pub(crate) fn of(body: http::Body) -> Body {
    match body.is_end_stream() {
        true => Body::empty(),
        false => Body::new(body.map_err(known_to_axum)),
    }
}

/// axum's extractors answer `413` to this one error of a body, and `400` to all others.
fn known_to_axum(error: BodyError) -> Box<dyn Error + Send + Sync> {
    match error {
        BodyError::TooLong { .. } => match length_limit_error() {
            Some(too_long) => too_long,
            None => error.into(),
        },
        error => error.into(),
    }
}

/// The error has no constructor: a body that is too long makes one.
fn length_limit_error() -> Option<Box<dyn Error + Send + Sync>> {
    let too_long = pin!(Limited::new(Full::new(Bytes::from_static(b"!")), 0));
    match too_long.poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Err(error))) if error.is::<LengthLimitError>() => Some(error),
        _ => None,
    }
}
