//! A test binary of its own, so that no other test takes the descriptors that must be reused.

mod common;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::task::Context;

use common::{Wakes, look, queue, unix};
use heist_reactor::{Direction, Interest, Kind};

/// Failure 6: a descriptor is used again inside one batch.
#[test]
fn recycled_descriptor_gets_no_event_of_the_one_before() {
    let queue = queue();
    let mut peers = Vec::new();
    let mut sources = Vec::new();
    for _ in 0..2 {
        let (mut near, far) = unix(&queue, Interest::Read);
        near.write_all(b"x").unwrap();
        peers.push(near);
        sources.push(far);
    }
    // The handler of the first event closes both and opens a new one, while the other event is not
    // handed out yet.
    let mut wakers = Vec::new();
    assert_eq!(queue.wait(0, 1, None, &mut wakers).unwrap().events, 1);
    let old: Vec<_> = sources.iter().map(|source| source.io().as_raw_fd()).collect();
    sources.clear();
    let (_near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    assert!(old.contains(&far.as_raw_fd()), "no descriptor was reused");
    let new = queue.register(0, far, Interest::Read, Kind::Other).unwrap();

    let (wakes, waker) = Wakes::new();
    assert!(new.poll_drain(Direction::Read, &mut Context::from_waker(&waker)).is_pending());
    let harvest = look(&queue);
    assert_eq!(harvest.events, harvest.stale, "{harvest:?}");
    assert_eq!(wakes.count(), 0);
    assert!(new.try_drain(Direction::Read).is_none());
}
