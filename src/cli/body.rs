//! Request bodies: bounded in length, and not waited for without end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use heist::time::{self, Sleep};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::app::Conversation;

/// A request body as the routes read it.
///
/// Dropped before its end it leaves word that the peer may still be sending, for the close.
pub(crate) struct Intake {
    body: Incoming,
    conversation: Arc<Conversation>,
    left: u64,
    stall: Sleep,
    waiting: bool,
    finished: bool,
}

/// Why a request body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    /// It is longer than allowed.
    #[error("the body is longer than {limit} bytes")]
    TooLong { limit: u64 },
    /// Nothing came for [`STALL_TIME`].
    #[error("no part of the body came for {} s", STALL_TIME.as_secs())]
    Stalled,
    /// The connection or the peer's framing of it broke.
    #[error("the body broke off: {0}")]
    Broken(#[from] hyper::Error),
}

impl Intake {
    /// Takes a body over, unless it says itself that it is too long.
    pub(crate) fn new(
        body: Incoming,
        conversation: &Arc<Conversation>,
    ) -> Result<Intake, IntakeError> {
        let limit = conversation.app.max_body;
        let intake = Intake {
            left: limit,
            stall: time::sleep(STALL_TIME),
            waiting: false,
            finished: body.is_end_stream(),
            conversation: Arc::clone(conversation),
            body,
        };
        match intake.body.size_hint().lower() > limit {
            true => Err(IntakeError::TooLong { limit }),
            false => Ok(intake),
        }
    }

    /// Takes the length of one frame off what is left.
    fn admit(&mut self, frame: &Frame<Bytes>) -> Result<(), IntakeError> {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let limit = self.conversation.app.max_body;
        self.left = self.left.checked_sub(length).ok_or(IntakeError::TooLong { limit })?;
        Ok(())
    }

    /// The time that counts begins when a wait begins, so a slow reader of ours is not the peer's
    /// fault. Moving the deadline later costs a store.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.waiting, true) {
            self.stall.reset(time::Instant::now() + STALL_TIME);
        }
        Pin::new(&mut self.stall).poll(cx)
    }
}

impl Body for Intake {
    type Data = Bytes;
    type Error = IntakeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, IntakeError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return self.poll_stalled(cx).map(|()| Some(Err(IntakeError::Stalled)));
        };
        self.waiting = false;
        Poll::Ready(match frame {
            None => {
                self.finished = true;
                None
            }
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(frame)) => Some(self.admit(&frame).map(|()| frame)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if !self.finished && !self.body.is_end_stream() {
            self.conversation.leave_unread();
        }
    }
}

/// How long a body may stand still.
const STALL_TIME: Duration = Duration::from_secs(30);
