//! The services of the peers that use hyper.

use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use ring::digest::{Context, SHA256};

/// Answers every request with a hello.
pub async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(text(StatusCode::OK, Bytes::from_static(b"Hello, World!")))
}

/// Takes uploads beside that:
///
/// - `POST /upload`: the answer is the SHA-256 of the body, in hexadecimal digits;
/// - `POST /upload/sleep`: sleeps in the kernel instead of computing, for [`SLEEP`] each [`SLICE`] bytes;
///   the answer is the length of the body.
pub async fn upload<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    let taken = match (request.method(), request.uri().path()) {
        (&Method::POST, "/upload") => digest(request.into_body()).await,
        (&Method::POST, "/upload/sleep") => sleep(request.into_body()).await,
        _ => Ok("Hello, World!".to_owned()),
    };
    Ok(match taken {
        Ok(answer) => text(StatusCode::OK, answer.into()),
        Err(error) => text(StatusCode::BAD_REQUEST, error.to_string().into()),
    })
}

async fn digest<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Result<String, B::Error> {
    let mut context = Context::new(&SHA256);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            context.update(&data);
        }
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn sleep<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Result<String, B::Error> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len();
            crate::occupy(SLEEP.mul_f64(data.len() as f64 / SLICE as f64));
        }
    }
    Ok(length.to_string())
}

fn text(status: StatusCode, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, plain);
    response
}

/// What [`SLICE`] bytes of an emulated upload cost their thread.
const SLEEP: Duration = Duration::from_millis(5);
const SLICE: usize = 64 << 10;
