use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};

use super::*;
use crate::error::RegisterError;
use crate::slot::WaitMode;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(sources: &Sources, token: Token, waker: &Waker) -> bool {
    let cx = &mut Context::from_waker(waker);
    let slot = sources.owned(token);
    let taken = slot.poll_take(Direction::Read, cx, WaitMode::Shared, |_| Ok(()));
    matches!(taken, Poll::Ready(Ok(_)))
}

#[test]
fn event_after_removal_is_stale_and_wakes_no_task() {
    let sources = Sources::new(4);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let old = sources.insert(Bits::NONE).unwrap();
    assert!(!poll(&sources, old, &waker));
    sources.remove(old);

    let mut out = Vec::new();
    assert_eq!(sources.deliver(old, Bits::READABLE, &mut out), Delivery::Stale);
    let new = sources.insert(Bits::NONE).unwrap();
    assert_eq!(new.slot(), old.slot(), "the slot is used again at once");
    assert!(!poll(&sources, new, &waker));
    assert_eq!(sources.deliver(old, Bits::READABLE, &mut out), Delivery::Stale);
    assert!(out.is_empty());
    assert!(!poll(&sources, new, &waker), "the new owner got the old owner's event");
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
}

#[test]
fn generation_wraps() {
    let sources = Sources::from_generation(1, u32::MAX);
    let last = sources.insert(Bits::NONE).unwrap();
    assert_eq!(last.generation(), u32::MAX);
    sources.remove(last);
    let first = sources.insert(Bits::NONE).unwrap();
    assert_eq!(first.generation(), 0);
    let mut out = Vec::new();
    assert_eq!(sources.deliver(last, Bits::READABLE, &mut out), Delivery::Stale);
    assert!(matches!(sources.deliver(first, Bits::READABLE, &mut out), Delivery::Delivered(_)));
}

#[test]
fn event_for_a_slot_that_never_was_is_stale() {
    let sources = Sources::new(CHUNK + 1);
    let mut out = Vec::new();
    for slot in [0, CHUNK as u32, 2 * CHUNK as u32, u32::MAX - 1] {
        let token = Token::new(slot, 0);
        assert_eq!(sources.deliver(token, Bits::READABLE, &mut out), Delivery::Stale);
    }
}

#[test]
fn full_table_refuses_and_takes_again() {
    let max = CHUNK + 3;
    let sources = Sources::new(max);
    let tokens: Vec<_> = (0..max).map(|_| sources.insert(Bits::NONE).unwrap()).collect();
    assert!(matches!(sources.insert(Bits::NONE), Err(RegisterError::Full { max: m }) if m == max));
    assert_eq!(sources.live(), max);
    tokens.iter().for_each(|&token| sources.remove(token));
    assert_eq!(sources.live(), 0);
    for _ in 0..max {
        sources.insert(Bits::NONE).unwrap();
    }
    assert!(sources.insert(Bits::NONE).is_err());
}

#[test]
fn close_marks_every_source_and_returns_each_waker_once() {
    let sources = Sources::new(3 * CHUNK);
    let tokens: Vec<_> = (0..2 * CHUNK).map(|_| sources.insert(Bits::NONE).unwrap()).collect();
    for &token in &tokens {
        assert!(!poll(&sources, token, Waker::noop()));
    }
    assert_eq!(sources.close().map(|wakers| wakers.len()), Some(tokens.len()));
    assert!(sources.close().is_none());
    assert!(matches!(sources.insert(Bits::NONE), Err(RegisterError::Closed)));
    tokens.iter().for_each(|&token| sources.remove(token));
    assert_eq!(sources.live(), 0);
}
