//! A tower service as `heist_net::http` calls it.

use axum::body::Body;
use axum::extract::ConnectInfo;
use heist_net::http;
use heist_net::server::Peer;
use hyper::{Request, Response};
use tower_service::Service;

use super::body;
use super::future::AxumFuture;

/// A tower service of axum's requests, such as a `Router`, as a service for
/// [`Http`](heist_net::http::Http).
///
/// [`BuilderExt::axum`](crate::BuilderExt::axum) makes one. Made explicitly, it can be wrapped by services
/// of hyper.
#[derive(Clone, Debug)]
pub struct AxumService<S> {
    service: S,
}

impl<S> AxumService<S> {
    /// Calls `service`, a clone of it for each request, once it is ready.
    pub fn new(service: S) -> AxumService<S> {
        AxumService { service }
    }
}

impl<S, B> hyper::service::Service<Request<http::Body>> for AxumService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = AxumFuture<S, Request<Body>>;

    #[inline]
    fn call(&self, request: Request<http::Body>) -> Self::Future {
        let mut request = request;
        if let Peer::Tcp(address) = *request.body().peer() {
            request.extensions_mut().insert(ConnectInfo(address));
        }
        AxumFuture::new(self.service.clone(), request.map(body::of))
    }
}
