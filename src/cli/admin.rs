//! The admin listener: what operators and their programs ask, on a runtime of its own.
//!
//! It answers when every worker of the server is stuck and when the server takes no more
//! connections, and it closes last.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heist::server::{Listener, Server, StartError, http};
use heist::{Builder, Runtime, time};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

use super::app::App;
use super::respond::{respond, text};

/// The admin listener, while it answers.
#[derive(Debug)]
pub(crate) struct Admin {
    server: Server,
    runtime: Runtime,
}

impl Admin {
    /// Starts to answer on `listener`.
    pub(crate) fn start(listener: Listener, app: &Arc<App>) -> Result<Admin, AdminError> {
        // One thread whatever the environment says of workers, which means the server's.
        let builder = Builder::new().ignore_environment().workers(1).thread_name("heist-admin");
        let runtime = builder.start()?;
        let app = Arc::clone(app);
        let service = service_fn(move |request| answer(Arc::clone(&app), request));
        let server = Server::builder().name("admin").listen(listener).http(service);
        let server = server.start_on(runtime.handle())?;
        Ok(Admin { server, runtime })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        super::program::url(&self.server.addresses()[0])
    }

    /// Keeps the file of a Unix socket, for the process that took the socket over.
    pub(crate) fn keep_files(&self) {
        self.server.keep_files();
    }

    /// Closes the listener, and ends when what was asked is answered.
    pub(crate) fn end(self) {
        // Neither what is left nor how it went is worth a word any more.
        let _ = self.server.drain_blocking(GRACE);
        let _ = self.runtime.shutdown(GRACE);
    }
}

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error(transparent)]
    Runtime(#[from] heist::StartError),
    #[error(transparent)]
    Server(#[from] StartError),
}

async fn answer(
    app: Arc<App>,
    request: Request<http::Body>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    Ok(match request.uri().path() {
        _ if !reads => text(StatusCode::METHOD_NOT_ALLOWED, "only to be read\n"),
        "/" => text(StatusCode::OK, INDEX),
        "/metrics" => respond(StatusCode::OK, heist::export::CONTENT_TYPE, app.metrics()),
        "/healthz" => health(&app).await,
        "/readyz" if app.is_ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => text(StatusCode::NOT_FOUND, "there is nothing here; see /\n"),
    })
}

/// Whether a worker of the server runs a task that is given to it.
async fn health(app: &App) -> Response<Full<Bytes>> {
    let task = heist::task::Builder::new().name("health").spawn_on(&app.runtime, async {});
    match time::timeout(PATIENCE, task).await {
        // At the very end the runtime takes no tasks; that is no illness.
        Ok(_) => text(StatusCode::OK, "ok\n"),
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "no worker has answered for 2 s\n"),
    }
}

const INDEX: &str = "\
GET  /metrics  figures for Prometheus
GET  /healthz  ok, or 503 when no worker answers
GET  /readyz   ready, or 503 while the server ends
";

/// A handler that holds up every worker for as long is beyond what anybody should wait for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pages are short; who does not take one by then does not get it.
const GRACE: Duration = Duration::from_secs(1);
