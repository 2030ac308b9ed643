//! The answer of a tower service.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

pin_project! {
    /// The answer of a tower service, which is called once it is ready.
    #[derive(Debug)]
    pub struct AxumFuture<S: Service<R>, R> {
        #[pin]
        step: Step<S, S::Future, S::Error, R>,
    }
}

pin_project! {
    #[project = StepProjection]
    #[derive(Debug)]
    enum Step<S, F, E, R> {
        Waiting { service: S, request: Option<R> },
        Called { #[pin] future: F },
        Failed { error: Option<E> },
    }
}

impl<S: Service<R>, R> AxumFuture<S, R> {
    /// Calls `service` at once if it is ready. Most are: then the request is not stored here, and moved
    /// twice less.
    #[inline]
    pub(crate) fn new(mut service: S, request: R) -> AxumFuture<S, R> {
        let step = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Step::Called { future: service.call(request) },
            Poll::Ready(Err(error)) => Step::Failed { error: Some(error) },
            // It is polled again with the waker of the task, which it wakes then.
            Poll::Pending => Step::Waiting { service, request: Some(request) },
        };
        AxumFuture { step }
    }
}

impl<S, R, A> Future for AxumFuture<S, R>
where
    S: Service<R, Response = A>,
{
    type Output = Result<A, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let future = match step.as_mut().project() {
                StepProjection::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    service.call(request.take().expect("a step that follows replaces this one"))
                }
                StepProjection::Called { future } => return future.poll(cx),
                StepProjection::Failed { error } => {
                    return Poll::Ready(Err(error.take().expect(READY_ONCE)));
                }
            };
            step.set(Step::Called { future });
        }
    }
}

const READY_ONCE: &str = "a future is not polled after it is ready";
