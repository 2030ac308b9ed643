//! The future of a connection, whatever version of HTTP it speaks.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, Service};
use hyper::{Request, Response};

use super::body::Body;
use super::connection::HttpConnection;
use super::connection_future::ConnectionFuture;
use super::guarded_io::GuardedIo;
use super::http2::{Http2Future, Parts, StreamService};
use super::hyper_io::HyperIo;
use super::selection::{Detection, Version};
use super::service::LimitedService;
use crate::Transport;
use crate::connection::close_reason::CloseReason;

/// A connection of any version. What is rare is in a box.
pub(super) enum VersionFuture<S, T>
where
    LimitedService<S>: HttpService<Incoming>,
    T: Transport,
{
    Http1(ConnectionFuture<LimitedService<S>, T>),
    Http2(Box<Http2Future<T>>),
    Detecting(Box<Detecting<S, T>>),
}

/// A connection of a version that is not known yet, and what serves it then.
pub(super) struct Detecting<S, T> {
    detection: Option<Detection<T>>,
    versions: Versions<S>,
}

/// What serves a connection of either version.
pub(super) struct Versions<S> {
    pub(super) service: S,
    pub(super) http1: http1::Builder,
}

impl<S, B> Versions<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    pub(super) fn http1<T: Transport>(self, parts: Parts<T>) -> VersionFuture<S, T> {
        let Parts { transport, front, state, drain } = parts;
        let io = HyperIo::new(GuardedIo::new(transport, front, Arc::clone(&state)));
        let service = LimitedService::new(self.service, Arc::clone(&state));
        let served = Box::new(self.http1.serve_connection(io, service).with_upgrades());
        let future = ConnectionFuture::new(HttpConnection::new(state, drain), served);
        VersionFuture::Http1(future)
    }

    pub(super) fn http2<T: Transport>(self, parts: Parts<T>) -> VersionFuture<S, T> {
        let future = Http2Future::new(parts, |state, accounts, executor| {
            StreamService::new(self.service, Arc::clone(state), accounts, executor)
        });
        VersionFuture::Http2(Box::new(future))
    }

    pub(super) fn detect<T: Transport>(self, detection: Detection<T>) -> VersionFuture<S, T> {
        let detecting = Detecting { detection: Some(detection), versions: self };
        VersionFuture::Detecting(Box::new(detecting))
    }
}

impl<S, B, T> Future for VersionFuture<S, T>
where
    T: Transport,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.get_mut();
        if let VersionFuture::Detecting(detecting) = this {
            let Detecting { detection, versions } = &mut **detecting;
            let known =
                detection.as_mut().expect("it becomes another future with its end").poll(cx);
            let version = match ready!(known) {
                Ok(version) => version,
                Err(reason) => return Poll::Ready(reason),
            };
            let parts = detection.take().expect("it was polled").into_parts();
            let versions =
                Versions { service: versions.service.clone(), http1: versions.http1.clone() };
            *this = match version {
                Version::Http1 => versions.http1(parts),
                Version::Http2 => versions.http2(parts),
            };
        }
        match this {
            VersionFuture::Http1(future) => Pin::new(future).poll(cx),
            VersionFuture::Http2(future) => Pin::new(&mut **future).poll(cx),
            VersionFuture::Detecting(_) => unreachable!("the version is known"),
        }
    }
}

/// Nothing in it is ever pinned.
impl<S, T> Unpin for VersionFuture<S, T>
where
    LimitedService<S>: HttpService<Incoming>,
    T: Transport,
{
}
