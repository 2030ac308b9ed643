//! Requests and their answers.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use heist::http::{Body, BodyError};
use heist::server::{Limits, Listener, StartError};
use heist::{Handle, Server, spawn_blocking};
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::form::{Form, FormError};
use crate::upload::{InFlight, Receipt, StoreError, Upload, log};

/// Starts a server that receives uploads into `directory`.
pub(crate) fn start(
    runtime: &Handle,
    listener: Listener,
    limits: Limits,
    directory: Arc<Path>,
) -> Result<Server, StartError> {
    let store = Arc::new(Store { directory, uploads: InFlight::default() });
    let service = service_fn(move |request| {
        let store = Arc::clone(&store);
        async move { Ok::<_, Infallible>(serve(request, &store).await) }
    });
    Server::builder()
        .name("http_upload")
        .listen(listener)
        .limits(limits)
        .http(service)
        .start_on(runtime)
}

/// What all requests share.
struct Store {
    directory: Arc<Path>,
    /// Each upload that is in flight has a clone.
    uploads: InFlight,
}

type Answer = Response<Full<Bytes>>;

/// Routes a request. hyper drops the content of an answer to HEAD.
async fn serve(request: Request<Body>, store: &Store) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => {
            let in_flight = Arc::strong_count(&store.uploads) - 1;
            text(StatusCode::OK, format!("uploads in flight: {in_flight}\n{HELLO}"))
        }
        (&Method::POST, "/upload") => receive(request, store).await,
        (_, "/") => not_allowed("GET, HEAD"),
        (_, "/upload") => not_allowed("POST"),
        _ => text(StatusCode::NOT_FOUND, HELLO),
    }
}

/// Receives a form. The answer has the time that took, also after a failure.
async fn receive(request: Request<Body>, store: &Store) -> Answer {
    let start = Instant::now();
    let outcome = upload(request, store).await;
    let seconds = seconds(start.elapsed());
    match outcome {
        Ok(receipts) => {
            let files: Vec<_> = receipts.iter().map(receipt).collect();
            let receipts = json!({ "files": files, "seconds": seconds });
            answer(StatusCode::CREATED, "application/json", format!("{receipts:#}\n"))
        }
        Err(failure) => {
            let (status, reason) = explain(&failure);
            if status.is_server_error() {
                let line = format!("http_upload: {}: {failure}", store.directory.display());
                // A pipe that is not read may block.
                drop(spawn_blocking(move || log(&line)));
            }
            text(status, format!("{reason}; nothing was kept, after {seconds} s\n"))
        }
    }
}

/// Keeps the files of a form.
async fn upload(request: Request<Body>, store: &Store) -> Result<Vec<Receipt>, Failure> {
    let (head, body) = request.into_parts();
    let (directory, peer) = (Arc::clone(&store.directory), body.peer().clone());
    let mut form = Form::new(&head.headers, body)?;
    let mut upload = Upload::new(directory, peer, Arc::clone(&store.uploads));

    while let Some(part) = form.next_part().await? {
        let Some(name) = part.file_name else { continue };
        if name.is_empty() {
            // A browser sends an empty name and no content if no file was chosen.
            match form.next_chunk().await? {
                Some(_) => return Err(Failure::NoName),
                None => continue,
            }
        }
        if upload.files() == MOST_FILES {
            return Err(Failure::TooManyFiles);
        }
        let began = Instant::now();
        while let Some(chunk) = form.next_chunk().await? {
            upload = upload.append(&chunk).await?;
        }
        upload = upload.end_file(part.field, name, began).await?;
    }
    if upload.files() == 0 {
        return Err(Failure::NoFile);
    }
    Ok(upload.keep().await?)
}

fn receipt(receipt: &Receipt) -> Value {
    json!({
        "field": receipt.field,
        "name": receipt.name,
        "stored": receipt.stored,
        "bytes": receipt.bytes,
        "seconds": seconds(receipt.took),
    })
}

/// In seconds, to the microsecond.
fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}

/// Why nothing was kept.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("the form has no file; send one with: curl --form file=@FILE")]
    NoFile,
    #[error("the form has a file without a name")]
    NoName,
    #[error("the form has more than {MOST_FILES} files")]
    TooManyFiles,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The status and the text that answer `failure`.
fn explain(failure: &Failure) -> (StatusCode, String) {
    let status = match failure {
        Failure::Form(FormError::NotAForm) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Failure::Form(FormError::Body(BodyError::TooLong { .. })) | Failure::TooManyFiles => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Failure::Form(FormError::Body(BodyError::Stalled { .. } | BodyError::TooSlow { .. })) => {
            StatusCode::REQUEST_TIMEOUT
        }
        Failure::Form(_) | Failure::NoFile | Failure::NoName => StatusCode::BAD_REQUEST,
        Failure::Store(StoreError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Store(StoreError::Disk(error)) => return explain_disk(error),
    };
    (status, failure.to_string())
}

/// The error's own text may have a path in it, which is only for the log.
fn explain_disk(error: &io::Error) -> (StatusCode, String) {
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        let reason = "cannot store the file: the server has too many files open; try again";
        return (StatusCode::SERVICE_UNAVAILABLE, reason.to_owned());
    }
    let reason = match error.kind() {
        // The space of the disk, of the user's quota, or of `ulimit -f`.
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            let reason = "cannot store the file: no space is left for it on the server";
            return (StatusCode::INSUFFICIENT_STORAGE, reason.to_owned());
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "the server may not write into its directory"
        }
        ErrorKind::NotFound | ErrorKind::NotADirectory => "the server's directory is gone",
        _ => "the server's disk fails",
    };
    (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot store the file: {reason}"))
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, HELLO);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

fn answer(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(content.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

const HELLO: &str = "send files to /upload, such as: curl --form file=@FILE http://…/upload\n";

/// Of one form. Each is a name in the directory and a line in the answer.
const MOST_FILES: usize = 100;
