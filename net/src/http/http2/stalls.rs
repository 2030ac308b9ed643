//! Streams whose answer the peer does not take.

use heist_scheduler::time::Instant;

use super::super::state::HttpState;
use super::super::stream_account::StreamAccounts;
use super::stream_set::StreamSet;
use crate::connection::close_reason::CloseKind;

/// When to look for streams whose answer the peer does not take.
///
/// hyper asks the body of an answer for nothing while the peer's window is closed, so no timer of the
/// stream could help. All streams are looked at, as rarely as possible.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    /// `None` while nothing waits.
    next: Option<Instant>,
}

impl Stalls {
    /// Ends the streams that the peer takes too slowly, or not at all. Returns how the connection ends if it
    /// takes nothing of any.
    pub(super) fn end_stalled(
        &mut self,
        now: Instant,
        streams: &mut StreamSet,
        state: &HttpState,
        accounts: &StreamAccounts,
    ) -> Option<CloseKind> {
        if accounts.unsent() == 0 {
            self.next = None;
            return None;
        }
        let limits = state.limits();
        // What begins to wait after this look may wait until then.
        let patience = limits.write_timeout;
        if now < *self.next.get_or_insert(now + patience) && !accounts.take_slow() {
            return None;
        }
        let connection = accounts.taken_at() + limits.write_timeout;
        if now >= connection {
            return Some(CloseKind::WriteTimeout);
        }
        let (mut next, mut last) = (connection.min(now + patience), CloseKind::WriteTimeout);
        let beyond_reach = streams.end_if(|stream| {
            let account = stream.account().expect("it is a stream's state");
            let (deadline, kind) = account.deadline(limits);
            let over = now >= deadline;
            if over {
                last = kind;
                let peer = state.peer();
                tracing::debug!(%peer, kind = kind.label(), "the peer does not take an answer: reset");
            } else {
                next = next.min(deadline);
            }
            over
        });
        self.next = Some(next);
        beyond_reach.then_some(last)
    }

    /// When the task has to look again.
    pub(super) fn next_look(&self) -> Instant {
        self.next.unwrap_or(Instant::FAR_FUTURE)
    }
}
