//! Routes that take a body.

use std::sync::Arc;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::{Reply, respond, text};
use crate::cli::app::Conversation;
use crate::cli::body::{Intake, IntakeError};
use crate::cli::upload;

/// Sends the body back while it comes. A body that says its length is refused if that is too long;
/// one that does not is cut off where it becomes too long, since the response has begun by then.
pub(super) fn echo(
    conversation: &Arc<Conversation>,
    mut request: Request<Incoming>,
) -> Response<Reply> {
    let content_type = request.headers_mut().remove(header::CONTENT_TYPE);
    match Intake::new(request.into_body(), conversation) {
        Ok(body) => {
            let mut response = Response::new(Either::Right(body));
            let content_type = content_type.unwrap_or(HeaderValue::from_static(BYTES));
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            response
        }
        Err(error) => refuse(&error),
    }
}

/// Takes the body in and answers with what it was.
pub(super) async fn upload(
    conversation: &Arc<Conversation>,
    request: Request<Incoming>,
) -> Response<Reply> {
    let receipt = match Intake::new(request.into_body(), conversation) {
        Ok(body) => upload::receive(body).await,
        Err(error) => Err(error),
    };
    match receipt {
        Ok(receipt) => {
            let json = serde_json::json!({
                "bytes": receipt.bytes,
                "sha256": receipt.sha256,
                "seconds": receipt.took.as_secs_f64(),
            });
            respond(StatusCode::OK, "application/json", format!("{json}\n"))
        }
        Err(error) => refuse(&error),
    }
}

/// Says what was wrong with the body, and that the connection closes: where it ends is unknown.
fn refuse(error: &IntakeError) -> Response<Reply> {
    let status = match error {
        IntakeError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        IntakeError::Stalled => StatusCode::REQUEST_TIMEOUT,
        IntakeError::Broken(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = text(status, format!("{error}\n"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

const BYTES: &str = "application/octet-stream";
