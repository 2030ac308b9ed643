//! Failure 15: a signal ends the wait. A test binary of its own, because the system delivers a
//! signal for the process to the main thread, which must be the one that waits.

mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;

use common::{HANG, Wakes, queue, unix};
use heist_reactor::{Direction, Harvest, Interest};
use rustix::process::{Signal, getpid, kill_process};

fn main() {
    let caught = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&caught)).unwrap();
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    let (wakes, waker) = Wakes::new();
    assert!(far.poll_drain(Direction::Read, &mut Context::from_waker(&waker)).is_pending());

    let enough = Arc::new(AtomicBool::new(false));
    let storm = thread::spawn({
        let enough = Arc::clone(&enough);
        move || {
            while !enough.load(Ordering::SeqCst) {
                kill_process(getpid(), Signal::USR1).unwrap();
            }
            near.write_all(b"after the storm").unwrap();
            near
        }
    });

    let mut wakers = Vec::new();
    let mut interrupted = 0;
    loop {
        // With no time-out and with one, since these are two system calls.
        let timeout = (interrupted % 2 == 0).then_some(HANG);
        let harvest = queue.wait(0, 64, timeout, &mut wakers).expect("a signal is no error");
        if harvest.events > 0 {
            break;
        }
        assert_eq!(harvest, Harvest::default());
        interrupted += 1;
        enough.store(interrupted >= 1_000, Ordering::SeqCst);
    }
    assert!(caught.load(Ordering::SeqCst));
    wakers.into_iter().for_each(Waker::wake);
    assert_eq!(wakes.count(), 1);
    assert_eq!(far.io().read(&mut [0; 64]).unwrap(), 15);
    storm.join().unwrap();
}
