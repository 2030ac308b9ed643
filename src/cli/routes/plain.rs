//! Pages to read: what the server is, whether it is well, and its figures.

use hyper::{Response, StatusCode};

use super::{Reply, respond, text};
use crate::cli::app::App;

/// The page at `path`.
pub(super) fn page(app: &App, path: &str) -> Option<Response<Reply>> {
    match path {
        "/" => Some(text(StatusCode::OK, INDEX)),
        "/healthz" if app.connections.draining() => {
            Some(text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"))
        }
        "/healthz" => Some(text(StatusCode::OK, "ok\n")),
        "/metrics" => Some(respond(StatusCode::OK, EXPOSITION, app.exporter.render(app))),
        _ => None,
    }
}

const INDEX: &str = "\
This is heist, a work-stealing, edge-triggered server core, serving HTTP with hyper.

GET  /         this page
POST /echo     sends the body back as it comes
POST /upload   takes the body in; answers with its length and SHA-256 as JSON
GET  /healthz  ok, or 503 while the server stops
GET  /metrics  figures for Prometheus
";

/// The text format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
