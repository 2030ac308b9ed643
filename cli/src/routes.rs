//! The routes, and their responses.

use std::sync::Arc;

use bytes::Bytes;
use heist::http::{Body, BodyError};
use http_body_util::{Either, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::app::App;
use crate::options::Options;
use crate::respond::{not_allowed, options, respond, text};
use crate::{upload, websocket};

/// All routes. Each connection has a clone.
#[derive(Clone)]
pub(crate) struct Routes {
    app: Arc<App>,
    public_metrics: bool,
    max_message: usize,
}

/// The route of a request, with what it needs.
///
/// It shares nothing with other connections: a reference count that each request changes would have
/// every core write to one cache line.
pub(crate) enum Decision {
    Page(Response<Full<Bytes>>),
    Echo(Box<Request<Body>>),
    Upload(Body),
}

/// A response's body: a known one, or that of the request.
pub(crate) type Reply = Either<Full<Bytes>, Body>;

impl Routes {
    /// The routes that `options` ask for.
    pub(crate) fn new(app: &Arc<App>, options: &Options) -> Routes {
        let (public_metrics, max_message) = (options.public_metrics, options.limits.max_message);
        Routes { app: Arc::clone(app), public_metrics, max_message }
    }

    /// Finds the route of a request.
    pub(crate) fn decide(&self, request: Request<Body>) -> Decision {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let sends = request.method() == Method::POST;
        match request.uri().path() {
            "/echo" if sends => Decision::Echo(Box::new(request)),
            "/upload" if sends => Decision::Upload(request.into_body()),
            "/echo" | "/upload" => Decision::Page(not_allowed("POST")),
            "/ws" if request.method() == Method::GET => {
                Decision::Page(websocket::accept(request, self.max_message))
            }
            "/ws" => Decision::Page(not_allowed("GET")),
            // The server lets only `OPTIONS` use this target.
            "*" => Decision::Page(options("GET, HEAD, POST, OPTIONS")),
            path => Decision::Page(match self.page(path) {
                Some(page) if reads => page,
                Some(_) => not_allowed("GET, HEAD"),
                None => text(StatusCode::NOT_FOUND, "there is nothing here; see /\n"),
            }),
        }
    }

    /// The page at `path`.
    fn page(&self, path: &str) -> Option<Response<Full<Bytes>>> {
        match path {
            "/" if self.public_metrics => {
                Some(text(StatusCode::OK, format!("{INDEX}{INDEX_METRICS}")))
            }
            "/" => Some(text(StatusCode::OK, INDEX)),
            "/healthz" if self.app.is_ready() => Some(text(StatusCode::OK, "ok\n")),
            "/healthz" => Some(text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")),
            "/metrics" if self.public_metrics => {
                let page = self.app.metrics();
                Some(respond(StatusCode::OK, heist::export::CONTENT_TYPE, page))
            }
            _ => None,
        }
    }
}

impl Decision {
    /// Answers the request. To a body that cannot be read to its end, the server answers.
    pub(crate) async fn answer(self) -> Result<Response<Reply>, BodyError> {
        match self {
            Decision::Page(page) => Ok(page.map(Either::Left)),
            Decision::Echo(request) => Ok(echo(*request)),
            Decision::Upload(body) => upload(body).await,
        }
    }
}

/// Sends the body back while it arrives. A body without a length is cut off where it becomes too
/// long, since the response has begun by then.
fn echo(mut request: Request<Body>) -> Response<Reply> {
    let content_type = request.headers_mut().remove(header::CONTENT_TYPE);
    let content_type = content_type.unwrap_or(HeaderValue::from_static(BYTES));
    let mut response = Response::new(Either::Right(request.into_body()));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Reads the body and answers with its length and hash.
async fn upload(body: Body) -> Result<Response<Reply>, BodyError> {
    let receipt = upload::receive(body).await?;
    let json = serde_json::json!({
        "bytes": receipt.bytes,
        "sha256": receipt.sha256,
        "seconds": receipt.took.as_secs_f64(),
    });
    Ok(respond(StatusCode::OK, "application/json", format!("{json}\n")).map(Either::Left))
}

const INDEX: &str = "\
This is heist, a work-stealing, edge-triggered server core, serving HTTP with hyper.

GET  /         this page
POST /echo     sends the body back as it arrives
POST /upload   reads the body; answers with its length and SHA-256 as JSON
GET  /ws       a WebSocket that sends each message back
GET  /healthz  ok, or 503 while the server stops
";

const INDEX_METRICS: &str = "\
GET  /metrics  metrics for Prometheus
";

const BYTES: &str = "application/octet-stream";
