//! One request: from the call of the service to the end of the answer's body.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Buf;
use heist::http::{Body, BodyError};
use hyper::body::{Frame, SizeHint};
use hyper::header::HeaderValue;
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;

use super::connection::{Connection, current};
use super::{BROKEN, COMPLETE, Recorder};
use crate::access::{Entry, Head, REQUEST_ID, well_formed_id};

/// A service whose requests are recorded. Each connection has a clone.
pub(crate) struct Recorded<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S> Recorded<S> {
    pub(crate) fn new(service: S, recorder: &Recorder) -> Recorded<S> {
        Recorded { service, connection: Connection::new(recorder, None) }
    }
}

impl<S: Clone> Clone for Recorded<S> {
    fn clone(&self) -> Recorded<S> {
        let connection =
            current().unwrap_or_else(|| Connection::new(&self.connection.recorder, None));
        Recorded { service: self.service.clone(), connection }
    }
}

impl<S, B> Service<Request<Body>> for Recorded<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BodyError>,
    B: hyper::body::Body,
{
    type Response = Response<RecordedBody<B>>;
    type Error = BodyError;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Body>) -> Answering<S::Future> {
        let exchange = Some(Exchange::begin(&self.connection, &request));
        Answering { future: self.service.call(request), exchange }
    }
}

/// One request under way. Dropping this records it.
struct Exchange {
    connection: Arc<Connection>,
    began: Instant,
    /// `None` once recorded. Boxed: hyper keeps room for an answer and a body in each connection,
    /// also while it is idle.
    entry: Option<Box<Entry>>,
    /// The answer is complete, or is missing for a known reason.
    in_order: bool,
}

impl Exchange {
    fn begin(connection: &Arc<Connection>, request: &Request<Body>) -> Exchange {
        let began = Instant::now();
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let head = Head::new(method, uri, request.version());
        let head = match &connection.recorder.lines {
            Some(_) => head.with_headers(headers),
            // A generated id would be known to no other program.
            None => Head { request_id: well_formed_id(headers), ..head },
        };
        let entry = Some(Box::new(Entry {
            peer: request.body().peer().clone(),
            head: Some(head),
            status: None,
            bytes: 0,
            took: began.elapsed(),
            outcome: COMPLETE,
        }));
        Exchange { connection: Arc::clone(connection), began, entry, in_order: false }
    }

    fn entry(&mut self) -> &mut Entry {
        self.entry.as_mut().expect("the entry is taken by drop alone")
    }

    fn is_head(&self) -> bool {
        let head = self.entry.as_ref().and_then(|entry| entry.head.as_ref());
        head.is_some_and(|head| head.method == Method::HEAD)
    }

    /// The request id for the answer, if there is an access log to look it up in.
    fn id_for_the_answer(&self) -> Option<HeaderValue> {
        self.connection.recorder.lines.as_ref()?;
        let id = self.entry.as_ref()?.request_id()?;
        HeaderValue::from_str(id).ok()
    }

    /// Notes that the server answers in place of the service, which could not read the body.
    fn refused(&mut self, error: &BodyError) {
        let (status, outcome) = match error {
            BodyError::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_long"),
            BodyError::Stalled { .. } => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            BodyError::TooSlow { .. } => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            _ => (StatusCode::BAD_REQUEST, "body_broken"),
        };
        self.in_order = true;
        let entry = self.entry();
        (entry.status, entry.outcome) = (Some(status.as_u16()), outcome);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        if let Some(mut entry) = self.entry.take() {
            entry.took = took;
            if !self.in_order {
                entry.outcome = BROKEN;
            }
            self.connection.record(entry, self.in_order);
        }
    }
}

pin_project! {
    /// The answer to one request.
    pub(crate) struct Answering<F> {
        #[pin]
        future: F,
        // `None` once answered.
        exchange: Option<Exchange>,
    }
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, BodyError>>,
    B: hyper::body::Body,
{
    type Output = Result<Response<RecordedBody<B>>, BodyError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.future.poll(cx));
        let mut exchange =
            this.exchange.take().expect("a future is not polled after it has completed");
        Poll::Ready(match answer {
            Err(error) => {
                exchange.refused(&error);
                Err(error)
            }
            Ok(mut response) => {
                exchange.entry().status = Some(response.status().as_u16());
                if let Some(id) = exchange.id_for_the_answer() {
                    response.headers_mut().insert(REQUEST_ID, id);
                }
                Ok(response.map(|body| RecordedBody::new(body, exchange)))
            }
        })
    }
}

pin_project! {
    /// The body of an answer, whose bytes and end are recorded.
    pub(crate) struct RecordedBody<B> {
        #[pin]
        body: B,
        exchange: Exchange,
    }
}

impl<B: hyper::body::Body> RecordedBody<B> {
    fn new(body: B, mut exchange: Exchange) -> RecordedBody<B> {
        // The answer to HEAD has no body, even if the service returned one.
        exchange.in_order = body.is_end_stream() || exchange.is_head();
        RecordedBody { body, exchange }
    }
}

impl<B: hyper::body::Body> hyper::body::Body for RecordedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        match &frame {
            None => this.exchange.in_order = true,
            Some(Err(_)) => {}
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Buf::remaining);
                this.exchange.entry().bytes += length as u64;
                this.exchange.in_order |= this.body.is_end_stream();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
