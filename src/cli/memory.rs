//! Memory that a crowd left behind.
//!
//! The C library keeps what was freed for the next time, in pieces that lie between what is still in
//! use: after 2,000 connections had come and gone a dozen times, the program held 57 MB, of which it
//! used 6. So when most of a crowd has left, the library is told to give back what it can.

use std::sync::Arc;
use std::time::Duration;

use heist::{Server, spawn_blocking, task, time};

/// Looks after the memory of `server`'s process as long as its runtime lives.
pub(crate) fn look_after(server: &Arc<Server>) {
    let runtime = server.shared().runtime().clone();
    let server = Arc::clone(server);
    let look = async move {
        let mut crowd = Crowd::default();
        loop {
            time::sleep(PERIOD).await;
            let metrics = server.metrics();
            if crowd.has_left(metrics.connections_active + metrics.connections_idle) {
                // Refused, it is done another time.
                let _ = spawn_blocking(give_back).await;
            }
        }
    };
    drop(task::Builder::new().name("memory").spawn_on(&runtime, look));
}

/// How many there were at most since memory was last given back.
#[derive(Default)]
struct Crowd {
    most: u64,
}

impl Crowd {
    /// Whether most of those who were there are not among the `present`. Said once for each crowd.
    fn has_left(&mut self, present: u64) -> bool {
        self.most = self.most.max(present);
        let left = self.most >= CROWD && present <= self.most / 2;
        if left {
            self.most = present;
        }
        left
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

const PERIOD: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowd_that_left_is_noticed_once() {
        let mut crowd = Crowd::default();
        for (present, left) in
            [(10, false), (0, false), (1000, false), (600, false), (500, true), (500, false)]
        {
            assert_eq!(crowd.has_left(present), left, "{present}");
        }
        assert!(crowd.has_left(100), "the rest of it is a crowd, too");
        assert!(!crowd.has_left(0), "a few are none");
    }
}
