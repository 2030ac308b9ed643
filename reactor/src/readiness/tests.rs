use super::*;

fn word(bits: Bits) -> Readiness {
    let word = Readiness::new(7);
    assert_eq!(word.open(bits), 7);
    word
}

fn ready(look: Status) -> bool {
    matches!(look, Status::Ready(_))
}

#[test]
fn stale_event_does_not_touch_the_word() {
    let word = word(Bits::NONE);
    assert_eq!(word.deliver(6, Bits::READABLE), Delivery::Stale);
    assert_eq!(word.status(Direction::Read), Status::NotReady);
}

#[test]
fn retired_generation_is_stale_and_wraps() {
    let word = Readiness::new(u32::MAX);
    assert_eq!(word.open(Bits::READABLE), u32::MAX);
    word.retire();
    assert_eq!(word.deliver(u32::MAX, Bits::READABLE), Delivery::Stale);
    assert_eq!(word.open(Bits::NONE), 0);
    assert_eq!(word.status(Direction::Read), Status::NotReady);
    assert!(matches!(word.deliver(0, Bits::READABLE), Delivery::Delivered(_)));
}

#[test]
fn directions_are_independent() {
    let word = word(Bits::READABLE | Bits::WRITABLE);
    assert!(ready(word.take(Direction::Read)));
    assert_eq!(word.take(Direction::Read), Status::NotReady);
    assert!(ready(word.take(Direction::Write)));
    assert!(!word.put_back(Direction::Write));
    assert_eq!(word.status(Direction::Read), Status::NotReady);
    assert!(ready(word.status(Direction::Write)));
}

#[test]
fn sticky_bits_make_nothing_ready_twice() {
    for event in [Bits::READ_END, Bits::WRITE_END, Bits::FAILED, Bits::URGENT_DATA] {
        let word = word(Bits::NONE);
        assert!(matches!(word.deliver(7, event), Delivery::Delivered(_)));
        for direction in Direction::BOTH {
            let _ = word.take(direction);
            assert_eq!(word.take(direction), Status::NotReady, "{event:?} {direction:?}");
        }
    }
}

#[test]
fn end_of_the_peers_half_leaves_writing_alone() {
    let word = word(Bits::NONE);
    assert_eq!(word.register_waiter(Direction::Write), Status::NotReady);
    let Delivery::Delivered(waiters) = word.deliver(7, Bits::READ_END) else {
        panic!("the event told something new");
    };
    assert!(!waiters.contains(Direction::Write));
    assert_eq!(word.status(Direction::Write), Status::NotReady);
}

#[test]
fn event_without_news_is_spurious_unless_a_task_waits() {
    let word = word(Bits::READABLE);
    assert_eq!(word.deliver(7, Bits::READABLE), Delivery::Spurious);
    assert!(ready(word.register_waiter(Direction::Read)));
    let Delivery::Delivered(waiters) = word.deliver(7, Bits::READABLE) else {
        panic!("a task waits");
    };
    assert!(waiters.contains(Direction::Read) && !waiters.contains(Direction::Write));
    assert_eq!(word.deliver(7, Bits::READABLE), Delivery::Spurious);
}

#[test]
fn early_end_finds_a_waiting_task_once() {
    let word = word(Bits::READABLE);
    assert!(ready(word.take(Direction::Read)));
    assert_eq!(word.register_waiter(Direction::Read), Status::NotReady);
    assert!(word.put_back(Direction::Read));
    assert!(!word.put_back(Direction::Read));
}

#[test]
fn first_direction_that_is_armed_makes_the_source_known() {
    let word = word(Bits::READABLE | Bits::WRITABLE);
    let requests = [(Direction::Write, Arming::Register), (Direction::Read, Arming::Reregister)];
    for (direction, arming) in requests {
        assert!(!word.is_armed(direction));
        assert_eq!(word.arming(), arming);
        word.set_armed(direction);
        assert!(word.is_armed(direction));
    }
}

#[test]
fn closed_queue_is_seen_before_readiness() {
    let word = word(Bits::READABLE);
    word.mark_closed();
    assert_eq!(word.take(Direction::Read), Status::QueueClosed);
    assert_eq!(word.status(Direction::Read), Status::QueueClosed);
    assert_eq!(word.register_waiter(Direction::Write), Status::QueueClosed);
}

#[test]
fn only_a_healthy_source_may_trust_a_short_read() {
    assert!(!(Bits::READABLE | Bits::WRITABLE).forbids_short_read());
    for bits in [Bits::READ_END, Bits::WRITE_END, Bits::FAILED, Bits::URGENT_DATA] {
        assert!(bits.forbids_short_read(), "{bits:?}");
    }
}
