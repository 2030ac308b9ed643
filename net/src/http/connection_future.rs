//! The future of a connection of HTTP/1, and what serves it at a time.

use std::error::Error;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Incoming};
use hyper::service::HttpService;

use super::connection::{HttpConnection, Parting, Step, is_orderly};
use super::dormant::{Dormant, Served};
use super::shared_transport::Shared;
use super::state::{HttpState, Phase};
use super::upgraded::UpgradeCount;
use crate::Transport;
use crate::connection::close_reason::CloseReason;

/// The future of a connection: hyper, then the close of the transport if hyper leaves that open.
///
/// No `async fn`: that would have room for its arguments twice. What is large is in a box.
pub(super) struct ConnectionFuture<S, T>
where
    S: HttpService<Incoming>,
    T: Transport,
{
    stage: Stage<S, T>,
    connection: HttpConnection,
}

impl<S, B, T> ConnectionFuture<S, T>
where
    T: Transport,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    pub(super) fn new(
        connection: HttpConnection,
        served: Box<Served<S, T>>,
    ) -> ConnectionFuture<S, T> {
        ConnectionFuture { stage: Stage::Serving(served), connection }
    }
}

impl<S, B, T> Future for ConnectionFuture<S, T>
where
    T: Transport,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let ConnectionFuture { stage, connection } = self.get_mut();
        stage.awake(&connection.state);
        if let Stage::Serving(_) = stage {
            match ready!(stage.poll_served(connection, cx)) {
                Step::Over(reason) => {
                    if is_orderly(reason.kind())
                        && let Stage::Serving(served) = mem::replace(stage, Stage::Over)
                    {
                        served.into_parts().into_iter().for_each(|parts| parts.io.close(cx));
                    }
                    return Poll::Ready(reason);
                }
                Step::Served => {}
            }
            let Some(transport) = connection.state.upgrade().take_shared() else {
                return Poll::Ready(connection.reason(Ok(())));
            };
            connection.state.end_bulk();
            *stage = match connection.state.phase() {
                Phase::Upgraded => {
                    Stage::Upgraded { transport, _count: UpgradeCount::begin(&connection.state) }
                }
                _ => Stage::Closing(transport),
            };
        }
        if let Stage::Upgraded { transport, .. } = stage {
            match ready!(connection.poll_upgraded(cx, &**transport)) {
                Step::Over(reason) => return Poll::Ready(reason),
                Step::Served => {}
            }
            *stage = Stage::Closing(Arc::clone(transport));
        }
        match stage {
            Stage::Closing(transport) => connection.poll_close(cx, &**transport),
            _ => unreachable!("it is not polled after its end"),
        }
    }
}

/// A transport that is shared with a task of the service ends with the connection.
impl<S: HttpService<Incoming>, T: Transport> Drop for ConnectionFuture<S, T> {
    fn drop(&mut self) {
        let unclaimed = self.connection.state.upgrade().take_shared();
        let claimed = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Upgraded { transport, .. } | Stage::Closing(transport) => Some(transport),
            Stage::Serving(_) | Stage::Dormant(_) | Stage::Over => None,
        };
        unclaimed
            .into_iter()
            .chain(claimed)
            .for_each(|transport| transport.cut(io::ErrorKind::ConnectionAborted));
    }
}

/// Nothing in it is ever pinned: hyper's part is in a box.
impl<S: HttpService<Incoming>, T: Transport> Unpin for ConnectionFuture<S, T> {}

enum Stage<S, T>
where
    S: HttpService<Incoming>,
    T: Transport,
{
    Serving(Box<Served<S, T>>),
    /// It idles, without hyper.
    Dormant(Box<Dormant<S, T>>),
    /// Another task has the transport.
    Upgraded {
        transport: Arc<dyn Shared>,
        _count: UpgradeCount,
    },
    Closing(Arc<dyn Shared>),
    Over,
}

impl<S, B, T> Stage<S, T>
where
    T: Transport,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Polls hyper's part, until it waits for something else than being made anew.
    fn poll_served(&mut self, connection: &mut HttpConnection, cx: &mut Context<'_>) -> Poll<Step> {
        while let Stage::Serving(served) = self {
            let polled = connection.poll(cx, Pin::new(&mut **served));
            if polled.is_ready() {
                return polled;
            }
            match mem::replace(&mut connection.parting, Parting::None) {
                Parting::None => {}
                Parting::Rest => {
                    self.release(cx);
                    connection.state.end_bulk();
                }
                Parting::Rebuild => {
                    connection.state.end_rebuild();
                    self.release(cx);
                    self.awake(&connection.state);
                    continue;
                }
            }
            break;
        }
        Poll::Pending
    }

    /// Gives hyper's part up, between two requests.
    fn release(&mut self, cx: &mut Context<'_>) {
        if let Stage::Serving(served) = mem::replace(self, Stage::Over)
            && let Some(dormant) = Dormant::of(*served, cx)
        {
            *self = Stage::Dormant(Box::new(dormant));
        }
    }

    /// Makes it anew, where it was given up.
    fn awake(&mut self, state: &HttpState) {
        if let Stage::Dormant(_) = self
            && let Stage::Dormant(dormant) = mem::replace(self, Stage::Over)
        {
            *self = Stage::Serving(Box::new(dormant.serve(state)));
        }
    }
}
