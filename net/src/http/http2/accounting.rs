//! What a connection makes the server hold, and what is counted of its frames.

use super::super::state::HttpState;
use super::super::stream_account::StreamAccounts;
use super::monitor::{FrameCounts, FrameMonitor};
use crate::connection::budget::OverBudget;
use crate::connection::charge::Charge;

/// The account of one connection.
#[derive(Debug, Default)]
pub(super) struct Accounting {
    /// What the server's budget is charged with for bodies that were not read, and for answers that were
    /// not taken.
    charge: Charge,
    /// Bytes of DATA frames that came before the oldest body that is open.
    data_before: u64,
    /// What the metrics know.
    counted: FrameCounts,
}

impl Accounting {
    /// Has the metrics know what the monitor counted.
    pub(super) fn count_frames(&mut self, monitor: &FrameMonitor, state: &HttpState) {
        let counts = monitor.counts();
        if counts != self.counted {
            state.metrics().count_frames(counts.since(self.counted));
            self.counted = counts;
        }
    }

    /// Charges what hyper holds now.
    ///
    /// Of bodies, that is what came and no service has read. hyper drops the rest of a body that is given
    /// up, which is not seen here: it is charged until no body is open, and never more than the window.
    pub(super) fn charge(
        &mut self,
        monitor: &FrameMonitor,
        state: &HttpState,
        accounts: &StreamAccounts,
    ) -> Result<(), OverBudget> {
        let came = monitor.counts().data;
        let mut unread = 0;
        if accounts.receives() {
            let window = u64::from(state.limits().http2.connection_window);
            unread = (came - self.data_before).saturating_sub(accounts.read()).min(window);
        } else if came != self.data_before {
            self.data_before = came;
            accounts.restart_read();
        }
        let held = accounts.unsent().saturating_add(unread as usize);
        self.charge.set(state.server().buffered(), held)
    }

    /// hyper holds nothing any more.
    pub(super) fn release(&mut self, state: &HttpState) {
        self.charge.release(state.server().buffered());
    }
}
