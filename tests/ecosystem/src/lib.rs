//! Services of other projects on heist's servers, unmodified. Only tests use this.

pub mod guide;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::service::Service;
use tokio::runtime::Handle;

/// A service whose futures are polled inside of a runtime of tokio, as they spawn tasks there. The
/// workers of heist poll them; what they spawn runs on the threads of tokio.
#[derive(Clone, Debug)]
pub struct Entered<S> {
    service: S,
    tokio: Handle,
}

/// A future that is polled inside of a runtime of tokio.
pub struct EnteredFuture<F> {
    future: Pin<Box<F>>,
    tokio: Handle,
}

impl<S> Entered<S> {
    /// Has `service` find the runtime of `tokio`.
    pub fn new(service: S, tokio: Handle) -> Entered<S> {
        Entered { service, tokio }
    }
}

impl<S: Service<R>, R> Service<R> for Entered<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = EnteredFuture<S::Future>;

    fn call(&self, request: R) -> Self::Future {
        let _inside = self.tokio.enter();
        EnteredFuture { future: Box::pin(self.service.call(request)), tokio: self.tokio.clone() }
    }
}

impl<F: Future> Future for EnteredFuture<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let EnteredFuture { future, tokio } = &mut *self;
        let _inside = tokio.enter();
        future.as_mut().poll(cx)
    }
}
