//! The admin listener: metrics and health for operators and their programs, on a runtime of its
//! own.
//!
//! It answers while every worker of the server is stuck and while the server takes no more
//! connections, and it closes last.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heist::http;
use heist::server::{Limits, Listener, Server, StartError};
use heist::{Builder, Runtime, time};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

use crate::addresses::{Scheme, url};
use crate::app::App;
use crate::respond::{not_allowed, options, respond, text};

/// The running admin listener.
#[derive(Debug)]
pub(crate) struct Admin {
    server: Server,
    runtime: Runtime,
}

impl Admin {
    /// Starts on `listener`.
    pub(crate) fn start(listener: Listener, app: &Arc<App>) -> Result<Admin, AdminError> {
        // One worker: the environment's HEIST_WORKERS is for the server.
        let builder = Builder::new().ignore_environment().workers(1).thread_name("heist-admin");
        let runtime = builder.start()?;
        let app = Arc::clone(app);
        let service = service_fn(move |request| answer(Arc::clone(&app), request));
        // Its thread waits for a CPU too when the machine is busy, and must answer then.
        let limits = Limits { shed: false, ..Limits::default() };
        let server = Server::builder().name("admin").limits(limits).listen(listener).http(service);
        let server = server.start_on(runtime.handle())?;
        Ok(Admin { server, runtime })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        url(Scheme::Http, &self.server.addresses()[0])
    }

    /// Keeps the file of a Unix socket, for the successor.
    pub(crate) fn keep_files(&self) {
        self.server.keep_files();
    }

    /// Closes the listener, and ends after the requests under way.
    pub(crate) fn end(self) {
        // The process ends: neither report is of use.
        let _ = self.server.drain_blocking(GRACE);
        let _ = self.runtime.shutdown(GRACE);
    }
}

/// Why the admin listener could not start.
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
        "/" | "/metrics" | "/healthz" | "/readyz" if !reads => not_allowed("GET, HEAD"),
        // The server lets only `OPTIONS` use this target.
        "*" => options("GET, HEAD, OPTIONS"),
        "/" => text(StatusCode::OK, INDEX),
        "/metrics" => respond(StatusCode::OK, heist::export::CONTENT_TYPE, app.metrics()),
        "/healthz" => health(&app).await,
        "/readyz" if app.is_ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => text(StatusCode::NOT_FOUND, "there is nothing here; see /\n"),
    })
}

/// Whether a worker of the server runs a new task.
async fn health(app: &App) -> Response<Full<Bytes>> {
    let task = heist::task::Builder::new().name("health").spawn_on(&app.runtime, async {});
    match time::timeout(PATIENCE, task).await {
        // An error of the task means that the runtime shuts down, which is healthy.
        Ok(_) => text(StatusCode::OK, "ok\n"),
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "no worker has answered for 2 s\n"),
    }
}

const INDEX: &str = "\
GET  /metrics  metrics for Prometheus
GET  /healthz  ok, or 503 when no worker answers
GET  /readyz   ready, or 503 while the server ends
";

/// Every worker blocked for this long counts as unhealthy.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pages are short; a client that is slower loses the answer.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::mpsc::{Sender, channel};

    use heist::server::Address;
    use heist_tests::{exposition, hang_guard};

    use super::*;

    const WORKERS: usize = 2;

    /// Failure: while nothing is served, the admin listener does not tell why.
    #[test]
    fn every_worker_stuck_is_answered_with_the_tasks_that_hold_them() {
        let _guard = hang_guard("every_worker_stuck_is_answered_with_the_tasks_that_hold_them");
        let runtime = Builder::new().ignore_environment().workers(WORKERS).start().unwrap();
        let (lines, _writer) = tracing_appender::non_blocking(std::io::sink());
        let app = App::new(runtime.handle().clone(), lines.error_counter());
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let admin = Admin::start(listener, &app).unwrap();
        let &Address::Tcp(address) = &admin.server.addresses()[0] else { panic!("not TCP") };
        assert_eq!(get(address, "/healthz").0, 200);

        let releases: Vec<_> = (0..WORKERS).map(|_| hog(&runtime)).collect();
        // The page shows polls once they are long.
        let held = loop {
            let held = held(address);
            if held.len() == WORKERS {
                break held;
            }
        };
        assert_eq!(held.keys().collect::<Vec<_>>(), ["0", "1"]);
        assert_eq!(get(address, "/healthz").0, 503);
        let later = self::held(address);
        for (worker, since) in held {
            assert!(later[&worker] > since, "{worker}: {later:?}");
        }

        drop(releases);
        assert_eq!(get(address, "/healthz").0, 200);
        while !self::held(address).is_empty() {}
        admin.end();
        assert_eq!(runtime.shutdown(Duration::from_secs(60)).threads_left, 0);
    }

    /// Failure: the admin listener answers 503 in the overload that its metrics explain.
    #[test]
    fn admin_listener_sheds_nothing() {
        let runtime = Builder::new().ignore_environment().workers(1).start().unwrap();
        let (lines, _writer) = tracing_appender::non_blocking(std::io::sink());
        let app = App::new(runtime.handle().clone(), lines.error_counter());
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let admin = Admin::start(listener, &app).unwrap();
        assert!(!admin.server.shared().limits().shed);
        admin.end();
    }

    /// Blocks a worker until the returned sender is dropped.
    fn hog(runtime: &Runtime) -> Sender<()> {
        let (started, has_started) = channel();
        let (release, released) = channel();
        let future = async move {
            started.send(()).unwrap();
            let _ = released.recv();
        };
        drop(heist::task::Builder::new().name("hog").spawn_on(runtime.handle(), future));
        has_started.recv().unwrap();
        release
    }

    /// The workers that a [`hog`] holds up according to the page, and for how many seconds.
    fn held(address: SocketAddr) -> BTreeMap<String, f64> {
        let (status, page) = get(address, "/metrics");
        assert_eq!(status, 200, "{page}");
        let page = exposition::parse(&page).unwrap();
        let polls = page.iter().find(|family| family.name == "heist_worker_current_poll_seconds");
        let hogs = polls.unwrap().samples.iter().filter(|poll| poll.label("task") == Some("hog"));
        hogs.map(|poll| {
            let place = poll.label("spawned_at").unwrap();
            assert!(place.contains("admin.rs:"), "{place}");
            (poll.label("worker").unwrap().to_owned(), poll.value)
        })
        .collect()
    }

    /// Status and body of a page.
    fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}
