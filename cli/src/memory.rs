//! Memory that a crowd left behind.
//!
//! The C library keeps what was freed for the next time, in pieces that lie between what is still in
//! use: after 2,000 connections had come and gone a dozen times, the program held 57 MB, of which it
//! used 6. So when most of a crowd has left, the library is told to give back what it can.
//!
//! # The way of a crowd
//!
//! 1. Each connection enters and leaves the [`Crowd`], which keeps how many are there and the most
//!    that there were. Nothing is sampled, so no crowd is too short to be seen.
//! 2. The connection that leaves when half of a crowd has gone tells the trimmer, a thread.
//! 3. The trimmer waits for [`SETTLE`], in which the rest of the crowd may leave, too, and gives
//!    memory back. So it does that at most once in that time, however the connections come and go,
//!    and each crowd that is told of is followed by a look that begins after it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use metrics::{counter, describe_counter};

/// The connections that are there, and the most that there were since memory was last given back.
///
/// | word | set by | meaning |
/// |---|---|---|
/// | `present` | each connection: +1 at its begin, -1 at its end | connections now |
/// | `most` | a connection at its begin: raised; the trimmer: lowered to `present` | the most since |
/// | `rest` | the trimmer | those of a crowd who were left and are no crowd themselves, or 0 |
///
/// All Relaxed: they are numbers that publish nothing else. A connection that enters while the
/// trimmer lowers `most` may be missing in it until the next one enters, which is one of hundreds.
#[derive(Debug)]
pub(crate) struct Crowd {
    present: AtomicU64,
    most: AtomicU64,
    rest: AtomicU64,
    /// Holds at most one message: a crowd has left, and the trimmer has not begun to look.
    bell: SyncSender<()>,
}

/// One connection of a crowd; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Present(Arc<Crowd>);

impl Crowd {
    /// An empty crowd, and where it rings when most of it has left.
    fn new() -> (Arc<Crowd>, Receiver<()>) {
        let (bell, rung) = sync_channel(1);
        let [present, most, rest] = [0; 3].map(AtomicU64::new);
        (Arc::new(Crowd { present, most, rest, bell }), rung)
    }

    /// Starts a thread that gives memory back whenever a crowd has left. It ends with the process.
    pub(crate) fn look_after() -> io::Result<Arc<Crowd>> {
        describe_counter!(TRIMS, "Times that memory was given back, as a crowd had left.");
        counter!(TRIMS).increment(0);
        let (crowd, rung) = Crowd::new();
        let trimmed = Arc::clone(&crowd);
        let run = move || {
            while rung.recv().is_ok() {
                thread::sleep(SETTLE);
                // What rings from here on is of a later crowd, or of one that this look may miss.
                let _ = rung.try_recv();
                trimmed.forget();
                give_back();
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
        // A crowd that leaves slowly ends in a rest, which holds what the look before left to it.
        let rest_left = rest >= REST && present <= rest / 2;
        if crowd_left || rest_left {
            // A full bell rings already.
            let _ = self.bell.try_send(());
        }
    }

    /// Those who are there are all that there were.
    fn forget(&self) {
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
#[allow(unsafe_code, reason = "the only way to tell the C library")]
fn give_back() {
    // SAFETY: it takes no pointer, and may be called at any time on any thread; it locks what it
    // looks at.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Other C libraries give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

/// Fewer hold little.
const CROWD: u64 = 256;

/// Fewer of a crowd hold next to nothing. Each rest is at most half of the one before, so a crowd has
/// a few of them, however those who are left come and go.
const REST: u64 = 16;

/// From the bell to the look.
const SETTLE: Duration = Duration::from_secs(1);

const TRIMS: &str = "heist_memory_trims_total";

#[cfg(test)]
mod tests {
    use super::*;

    fn rings(rung: &Receiver<()>) -> bool {
        rung.try_recv().is_ok()
    }

    /// Failure 84: a crowd that comes and goes between two samples is not seen.
    #[test]
    fn crowd_of_any_length_rings_when_half_of_it_has_left() {
        let (crowd, rung) = Crowd::new();
        let mut there: Vec<_> = (0..CROWD).map(|_| crowd.enter()).collect();
        there.truncate(CROWD as usize / 2 + 1);
        assert!(!rings(&rung));
        there.pop();
        assert!(rings(&rung));
        // Until the trimmer has looked, each that leaves rings again, and all are one.
        there.clear();
        assert!(rings(&rung) && !rings(&rung));
    }

    #[test]
    fn crowd_is_rung_for_once_and_a_few_are_none() {
        let (crowd, rung) = Crowd::new();
        let mut there: Vec<_> = (0..4 * CROWD).map(|_| crowd.enter()).collect();
        there.truncate(2 * CROWD as usize);
        assert!(rings(&rung));
        crowd.forget();
        there.pop();
        assert!(!rings(&rung), "half of those who were left are still there");
        there.truncate(CROWD as usize);
        assert!(rings(&rung), "the rest of it is a crowd, too");
        crowd.forget();
        there.truncate(1);
        assert!(rings(&rung));
        crowd.forget();
        there.clear();
        drop((0..CROWD - 1).map(|_| crowd.enter()).collect::<Vec<_>>());
        assert!(!rings(&rung), "a few are none");
    }

    /// Failure 84, of a crowd that leaves slowly: what its last quarter held stays.
    #[test]
    fn rest_of_a_crowd_that_leaves_slowly_rings_a_few_times() {
        let (crowd, rung) = Crowd::new();
        let mut there: Vec<_> = (0..CROWD).map(|_| crowd.enter()).collect();
        let (mut left, mut come_and_go) = (Vec::new(), Vec::new());
        while there.pop().is_some() {
            if rings(&rung) {
                left.push(there.len());
                crowd.forget();
            }
            // Those that come and go are no part of it.
            come_and_go.extend((0..4).map(|_| crowd.enter()));
            come_and_go.truncate(4);
        }
        assert_eq!(left, [127, 61, 28, 12, 4]);
    }
}
