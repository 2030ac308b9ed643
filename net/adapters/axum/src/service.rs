//! A tower service as `heist_net::http` calls it.

use axum::body::Body;
use axum::extract::ConnectInfo;
use heist_net::http;
use heist_net::server::Peer;
use hyper::{Request, Response};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use tower_service::Service;

use super::body;

/// A tower service of axum's requests, such as a `Router`, as a service for
/// [`Http`](heist_net::http::Http).
///
/// [`BuilderExt::axum`](crate::BuilderExt::axum) makes one. Made explicitly, it can be wrapped by services
/// of hyper.
#[derive(Clone, Debug)]
pub struct AxumService<S> {
    service: TowerToHyperService<S>,
}

impl<S> AxumService<S> {
    /// Calls `service`, a clone of it for each request, once it is ready.
    pub fn new(service: S) -> AxumService<S> {
        AxumService { service: TowerToHyperService::new(service) }
    }
}

impl<S, B> hyper::service::Service<Request<http::Body>> for AxumService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = TowerToHyperServiceFuture<S, Request<Body>>;

    fn call(&self, request: Request<http::Body>) -> Self::Future {
        let mut request = request;
        let peer = request.body().peer().clone();
        let extensions = request.extensions_mut();
        if let Peer::Tcp(address) = peer {
            extensions.insert(ConnectInfo(address));
        }
        extensions.insert(ConnectInfo(peer));
        self.service.call(request.map(body::of))
    }
}
