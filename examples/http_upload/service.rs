//! Requests and their answers.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use heist::server::http::Body;
use heist::server::{Limits, Listener, StartError};
use heist::{Handle, Server};
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::form::{self, Form};
use crate::upload::{Receipt, StoreError, Upload};

/// Starts to take uploads into `directory`.
pub(crate) fn start(
    runtime: &Handle,
    listener: Listener,
    limits: Limits,
    directory: Arc<Path>,
) -> Result<Server, StartError> {
    let service = service_fn(move |request| serve(request, Arc::clone(&directory)));
    Server::builder()
        .name("http_upload")
        .listen(listener)
        .limits(limits)
        .http(service)
        .start_on(runtime)
}

type Answer = Response<Full<Bytes>>;

async fn serve(
    request: Request<Body>,
    directory: Arc<Path>,
) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => Ok(answer(StatusCode::OK, HELLO)),
        (&Method::POST, "/upload") => match upload(request, directory).await {
            Ok(receipts) => Ok(answer(StatusCode::CREATED, format!("{receipts:#}\n"))),
            Err(failure) => refuse(failure),
        },
        _ => Ok(answer(StatusCode::NOT_FOUND, HELLO)),
    }
}

/// Receives the files of a form, and tells what became of them.
async fn upload(request: Request<Body>, directory: Arc<Path>) -> Result<Value, Failure> {
    let start = Instant::now();
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    let content_type = content_type.and_then(Result::ok).unwrap_or_default().to_owned();
    let body = request.into_body();
    let mut upload = Upload::new(directory, body.peer().clone());
    let mut form = Form::new(&content_type, body)?;

    while let Some(mut part) = form.next_part().await? {
        // What is no file is read and forgotten. Browsers send an empty name for a file that was not
        // chosen.
        let Some(name) = part.file_name().filter(|name| !name.is_empty()).map(clip) else {
            while form.next_chunk(&mut part).await?.is_some() {}
            continue;
        };
        if upload.files() == MOST_FILES {
            return Err(Failure::TooManyFiles);
        }
        let field = clip(part.name().unwrap_or_default());
        let began = Instant::now();
        while let Some(chunk) = form.next_chunk(&mut part).await? {
            upload = upload.append(&chunk).await?;
        }
        upload = upload.end_file(field, name, began).await?;
    }
    form.finish().await?;
    if upload.files() == 0 {
        return Err(Failure::NoFile);
    }
    let receipts = upload.keep().await?;
    let files: Vec<_> = receipts.iter().map(receipt).collect();
    Ok(json!({ "files": files, "seconds": seconds(start.elapsed()) }))
}

/// So much of `text` as a file's name may be long. It waits in memory, a hundred times maybe.
fn clip(text: &str) -> String {
    text.chars().take(255).collect()
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
    Form(#[from] multer::Error),
    #[error("the form has no file; send one with: curl --form file=@FILE")]
    NoFile,
    #[error("the form has more than {MOST_FILES} files")]
    TooManyFiles,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The answer to `failure`. If the body failed, the server knows best: it was too long or too slow,
/// or the client is gone. It says so if the service fails with that error.
fn refuse(failure: Failure) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let status = match &failure {
        Failure::Form(error) if form::is_of_body(error) => return Err(failure.into()),
        Failure::Form(multer::Error::NoMultipart | multer::Error::DecodeContentType(_)) => {
            return Ok(answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, HELLO));
        }
        Failure::Form(_) | Failure::NoFile => StatusCode::BAD_REQUEST,
        Failure::TooManyFiles => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::Store(StoreError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Store(StoreError::Disk(error)) if is_full(error) => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        Failure::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status.is_server_error() {
        eprintln!("http_upload: {failure}");
    }
    Ok(answer(status, format!("{}\n", reason(&failure))))
}

/// multer says "failed to read" for whatever stopped it, and has the reason inside.
fn reason(failure: &Failure) -> String {
    match failure.source() {
        Some(cause) => format!("{failure}: {cause}"),
        None => failure.to_string(),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn answer(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer
}

const HELLO: &str = "send files to /upload, such as: curl --form file=@FILE http://…/upload\n";

/// Of one form. Each is a name in the directory and a line in the answer.
const MOST_FILES: usize = 100;
