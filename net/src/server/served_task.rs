//! The task of one connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::connection::activity::Activity;
use crate::connection::close_reason::{CloseKind, CloseReason};
use crate::connection::permit::ConnectionPermit;

pin_project_lite::pin_project! {
    /// The task of one connection: serves it to its end, unless the server force-closes it.
    pub(super) struct ServedTask<M, F> {
        #[pin]
        stage: Stage<M, F>,
        // `None` where the service says by itself when the connection is active.
        activity: Option<Activity>,
        // Behind the stage: the permit is released only after the socket is closed.
        permit: ConnectionPermit,
    }
}

pin_project_lite::pin_project! {
    #[project = StageProjection]
    enum Stage<M, F> {
        // What begins to serve the connection runs in the task, so that a panic in it ends this
        // connection and not the acceptor.
        New { begin: Option<M> },
        Serving { #[pin] future: F },
        Over,
    }
}

impl<M, F> ServedTask<M, F>
where
    M: FnOnce() -> F,
    F: Future<Output = CloseReason>,
{
    pub(super) fn new(
        permit: ConnectionPermit,
        activity: Option<Activity>,
        begin: M,
    ) -> ServedTask<M, F> {
        ServedTask { stage: Stage::New { begin: Some(begin) }, activity, permit }
    }
}

impl<M, F> Future for ServedTask<M, F>
where
    M: FnOnce() -> F,
    F: Future<Output = CloseReason>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let mut stage = this.stage;
        if let Some(activity) = this.activity {
            activity.begin_poll();
        }
        let polled = this.permit.guard(|permit| {
            if let StageProjection::New { begin } = stage.as_mut().project() {
                let begin = begin.take().expect("a task that has panicked is not polled again");
                permit.set_task(cx.waker());
                stage.set(Stage::Serving { future: begin() });
            }
            let polled = match stage.as_mut().project() {
                StageProjection::Serving { .. } if permit.is_force_closed() => {
                    Poll::Ready(CloseKind::Cancelled)
                }
                StageProjection::Serving { future } => future.poll(cx).map(|reason| reason.kind()),
                StageProjection::New { .. } | StageProjection::Over => {
                    unreachable!("a task that is over is not polled again")
                }
            };
            if polled.is_ready() {
                stage.set(Stage::Over);
            }
            polled
        });
        if polled.is_pending()
            && let Some(activity) = this.activity
        {
            activity.end_poll();
        }
        polled.map(|kind| this.permit.close(kind))
    }
}
