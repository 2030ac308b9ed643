//! Memory that stays allocated after a crowd of connections has left.
//!
//! The C library keeps freed memory for later, in pieces between those still in use: after 2,000
//! connections had come and gone a dozen times, the program held 57 MB, of which it used 6. So when
//! most of a crowd has left, the library is asked to return what it can to the system.
//!
//! # The way of a crowd
//!
//! 1. Each connection enters and leaves the [`Crowd`], which keeps the number of connections and
//!    its maximum. Nothing is sampled, so no crowd is too short to be seen.
//! 2. The connection whose leaving makes it half of the maximum notifies the trimmer, a thread.
//! 3. The trimmer waits for [`SETTLE`], in which the rest of the crowd may leave, too, and trims.
//!    So it trims at most once in that time, however the connections come and go, and each
//!    notification is followed by a trim that begins after it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use metrics::{counter, describe_counter};

/// The number of connections, and its maximum since the last trim.
///
/// | word | set by | meaning |
/// |---|---|---|
/// | `present` | each connection: +1 at its begin, -1 at its end | connections now |
/// | `most` | a connection at its begin: raised; the trimmer: lowered to `present` | the maximum |
/// | `rest` | the trimmer | what was left of a crowd at the last trim, if below [`CROWD`], or 0 |
///
/// All Relaxed: they are numbers that publish nothing else. A connection that enters while the
/// trimmer lowers `most` may be missing in it until the next one enters, which is one of hundreds.
#[derive(Debug)]
pub(crate) struct Crowd {
    present: AtomicU64,
    most: AtomicU64,
    rest: AtomicU64,
    /// Holds at most one message: a crowd has left, and the trimmer has not begun.
    notifier: SyncSender<()>,
}

/// One connection, until dropped.
#[derive(Debug)]
pub(crate) struct Present(Arc<Crowd>);

impl Crowd {
    /// An empty crowd, and the receiver of its notifications.
    fn new() -> (Arc<Crowd>, Receiver<()>) {
        let (notifier, notifications) = sync_channel(1);
        let [present, most, rest] = [0; 3].map(AtomicU64::new);
        (Arc::new(Crowd { present, most, rest, notifier }), notifications)
    }

    /// Starts the trimmer. Its thread ends with the process.
    pub(crate) fn start() -> io::Result<Arc<Crowd>> {
        describe_counter!(
            TRIMS,
            "Times that memory was returned to the system after a crowd had left."
        );
        counter!(TRIMS).increment(0);
        let (crowd, notifications) = Crowd::new();
        let trimmed = Arc::clone(&crowd);
        let run = move || {
            while notifications.recv().is_ok() {
                thread::sleep(SETTLE);
                // A notification from here on is about a later crowd, or one that this trim may
                // miss.
                let _ = notifications.try_recv();
                trimmed.reset();
                trim();
                counter!(TRIMS).increment(1);
            }
        };
        thread::Builder::new().name("heist-memory".to_owned()).spawn(run)?;
        Ok(crowd)
    }

    /// A connection begins.
    pub(crate) fn enter(self: &Arc<Crowd>) -> Present {
        let present = self.present.fetch_add(1, Relaxed) + 1;
        // Only a new record writes: `most` is read by every connection.
        if self.most.load(Relaxed) < present {
            self.most.fetch_max(present, Relaxed);
        }
        Present(Arc::clone(self))
    }

    fn leave(&self) {
        let present = self.present.fetch_sub(1, Relaxed) - 1;
        let (most, rest) = (self.most.load(Relaxed), self.rest.load(Relaxed));
        let crowd_left = most >= CROWD && present <= most / 2;
        // Of a crowd that leaves slowly a rest stays, whose memory the trim before could not
        // return.
        let rest_left = rest >= REST && present <= rest / 2;
        if crowd_left || rest_left {
            // Full: the trimmer is notified already.
            let _ = self.notifier.try_send(());
        }
    }

    /// Makes the number of connections the maximum.
    fn reset(&self) {
        let present = self.present.load(Relaxed);
        self.most.store(present, Relaxed);
        self.rest.store(if present < CROWD { present } else { 0 }, Relaxed);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "a call into the C library")]
fn trim() {
    // SAFETY: `malloc_trim` takes no pointer, and may be called at any time on any thread; it locks
    // the arenas it works on.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Other C libraries return memory by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

/// Fewer connections leave little memory behind.
const CROWD: u64 = 256;

/// A smaller rest holds next to nothing. Each rest is at most half of the one before, so a crowd
/// has few of them, however the connections left come and go.
const REST: u64 = 16;

/// From the notification to the trim.
const SETTLE: Duration = Duration::from_secs(1);

const TRIMS: &str = "heist_memory_trims_total";

#[cfg(test)]
mod tests {
    use super::*;

    fn is_notified(notifications: &Receiver<()>) -> bool {
        notifications.try_recv().is_ok()
    }

    /// Failure 84: a crowd that comes and goes between two samples is not seen.
    #[test]
    fn crowd_of_any_length_notifies_when_half_of_it_has_left() {
        let (crowd, notifications) = Crowd::new();
        let mut there: Vec<_> = (0..CROWD).map(|_| crowd.enter()).collect();
        there.truncate(CROWD as usize / 2 + 1);
        assert!(!is_notified(&notifications));
        there.pop();
        assert!(is_notified(&notifications));
        // Before the trim, each connection that leaves notifies again, and all count as one.
        there.clear();
        assert!(is_notified(&notifications) && !is_notified(&notifications));
    }

    #[test]
    fn crowd_notifies_once_and_a_few_connections_never() {
        let (crowd, notifications) = Crowd::new();
        let mut there: Vec<_> = (0..4 * CROWD).map(|_| crowd.enter()).collect();
        there.truncate(2 * CROWD as usize);
        assert!(is_notified(&notifications));
        crowd.reset();
        there.pop();
        assert!(!is_notified(&notifications), "half of the rest is still there");
        there.truncate(CROWD as usize);
        assert!(is_notified(&notifications), "the rest of it is a crowd, too");
        crowd.reset();
        there.truncate(1);
        assert!(is_notified(&notifications));
        crowd.reset();
        there.clear();
        drop((0..CROWD - 1).map(|_| crowd.enter()).collect::<Vec<_>>());
        assert!(!is_notified(&notifications), "a few are none");
    }

    /// Failure 84, of a crowd that leaves slowly: what its last quarter held stays.
    #[test]
    fn rest_of_a_crowd_that_leaves_slowly_notifies_a_few_times() {
        let (crowd, notifications) = Crowd::new();
        let mut there: Vec<_> = (0..CROWD).map(|_| crowd.enter()).collect();
        let (mut left, mut come_and_go) = (Vec::new(), Vec::new());
        while there.pop().is_some() {
            if is_notified(&notifications) {
                left.push(there.len());
                crowd.reset();
            }
            // Short connections meanwhile are no part of the crowd.
            come_and_go.extend((0..4).map(|_| crowd.enter()));
            come_and_go.truncate(4);
        }
        assert_eq!(left, [127, 61, 28, 12, 4]);
    }
}
