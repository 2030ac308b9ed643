//! What a protocol has asked for and was not given yet, but for its output.

use std::mem;

use heist_scheduler::time::Instant;

use super::error::Error;
use super::termination::Termination;
use crate::connection::close_reason::CloseReason;

/// The requests of a protocol, collected by its [`Context`](super::Context).
#[derive(Debug, Default)]
pub(super) struct Actions {
    /// `Some` if the deadline is to be changed.
    deadline: Option<Option<Instant>>,
    /// `Some` if the input is to be paused until then; a time that has passed resumes it.
    pause: Option<Instant>,
    close: CloseRequest,
}

#[derive(Debug, Default)]
enum CloseRequest {
    #[default]
    None,
    Finish,
    Graceful,
    Abort,
    Fail(Error),
}

impl Actions {
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = Some(deadline);
    }

    pub(super) fn set_pause(&mut self, until: Instant) {
        self.pause = Some(until);
    }

    pub(super) fn close(&mut self) {
        if matches!(self.close, CloseRequest::None | CloseRequest::Finish) {
            self.close = CloseRequest::Graceful;
        }
    }

    pub(super) fn finish(&mut self) {
        if matches!(self.close, CloseRequest::None) {
            self.close = CloseRequest::Finish;
        }
    }

    pub(super) fn abort(&mut self) {
        self.close = CloseRequest::Abort;
    }

    /// The first error counts, and an abort before it.
    pub(super) fn fail(&mut self, error: Error) {
        if matches!(self.close, CloseRequest::None | CloseRequest::Finish | CloseRequest::Graceful)
        {
            self.close = CloseRequest::Fail(error);
        }
    }

    /// Whether the deadline is to be changed.
    #[inline]
    pub(super) fn changes_deadline(&self) -> bool {
        self.deadline.is_some()
    }

    /// The deadline to set instead of the old one, if any.
    #[must_use = "the deadline is not in force until it is set"]
    pub(super) fn take_deadline(&mut self) -> Option<Option<Instant>> {
        self.deadline.take()
    }

    /// Whether the input is to be paused, or resumed.
    #[inline]
    pub(super) fn changes_pause(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether the protocol wants no input after `now`.
    #[inline]
    pub(super) fn wants_pause(&self, now: Instant) -> bool {
        self.pause.is_some_and(|until| until > now)
    }

    /// Until when the input is to be paused.
    #[must_use = "the pause is not in force until it is set"]
    pub(super) fn take_pause(&mut self) -> Option<Instant> {
        self.pause.take()
    }

    /// `Err` if the protocol asked for an end.
    #[inline]
    pub(super) fn check_close(&mut self) -> Result<(), Box<Termination>> {
        match self.close {
            CloseRequest::None => Ok(()),
            _ => Err(self.termination()),
        }
    }

    /// The end after a call that returned `error`. After an abort the peer is given no time to read.
    #[cold]
    pub(super) fn failed(&self, error: Error) -> Box<Termination> {
        match self.close {
            CloseRequest::Abort => Termination::immediate(CloseReason::Protocol(error)),
            _ => Termination::graceful(CloseReason::Protocol(error)),
        }
    }

    #[cold]
    fn termination(&mut self) -> Box<Termination> {
        match mem::take(&mut self.close) {
            CloseRequest::Finish => Box::new(Termination::Finished),
            CloseRequest::None | CloseRequest::Graceful => {
                Termination::graceful(CloseReason::Finished)
            }
            CloseRequest::Abort => Termination::immediate(CloseReason::Aborted),
            CloseRequest::Fail(error) => Termination::graceful(CloseReason::Protocol(error)),
        }
    }
}
