//! From a request to a response: which route, and what it answers.

mod bodies;
mod plain;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::app::Conversation;
use super::body::Intake;

/// A response's body: known, or the request's own coming back.
pub(crate) type Reply = Either<Full<Bytes>, Intake>;

/// Answers one request. Never fails: what goes wrong is a response, too.
pub(crate) async fn answer(
    conversation: Arc<Conversation>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    conversation.begin_request();
    let response = route(&conversation, request).await;
    conversation.app.responses.count(response.status());
    Ok(response)
}

async fn route(conversation: &Arc<Conversation>, request: Request<Incoming>) -> Response<Reply> {
    let takes_body = matches!(request.uri().path(), "/echo" | "/upload");
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match (request.uri().path(), takes_body) {
        ("/echo", _) if request.method() == Method::POST => bodies::echo(conversation, request),
        ("/upload", _) if request.method() == Method::POST => {
            bodies::upload(conversation, request).await
        }
        (_, true) => unread(conversation, &request, not_allowed("POST")),
        (path, false) => {
            let response = match plain::page(&conversation.app, path) {
                Some(page) if reads => page,
                Some(_) => not_allowed("GET, HEAD"),
                None => text(StatusCode::NOT_FOUND, "there is nothing here; see /\n"),
            };
            unread(conversation, &request, response)
        }
    }
}

/// Leaves word if the request has a body, which nobody is going to read.
fn unread(
    conversation: &Conversation,
    request: &Request<Incoming>,
    response: Response<Reply>,
) -> Response<Reply> {
    use hyper::body::Body;
    if !request.body().is_end_stream() {
        conversation.leave_unread();
    }
    response
}

fn not_allowed(allowed: &'static str) -> Response<Reply> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this method is not for this path\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Reply> {
    respond(status, TEXT, text)
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Response<Reply> {
    let mut response = Response::new(Either::Left(Full::new(content.into())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
