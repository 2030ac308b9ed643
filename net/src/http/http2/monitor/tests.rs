//! The verdict of the monitor, wherever the bytes are cut.

use std::time::Duration;

use heist_scheduler::time::Instant;
use proptest::prelude::*;

use super::*;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Bounds that a few frames pass.
fn few() -> Limits {
    let few = Allowance::new(2, 1);
    let http2 = Http2Limits {
        resets: few,
        refused_streams: few,
        stream_errors: few,
        settings: few,
        pings: few,
        priorities: few,
        window_updates: few,
        small_window_updates: few,
        empty_frames: few,
        unknown_frames: few,
        ..Http2Limits::default()
    };
    Limits { http2, header_bytes: 64, ..Limits::default() }
}

/// What a monitor says of bytes: the verdict, what it counted, and whether it is in a frame.
type Said = (Result<(), Violation>, FrameCounts, Option<bool>, bool, u32);

/// Gives the pieces of `bytes` between `cuts` to a monitor.
fn said(bytes: &[u8], cuts: &[usize]) -> Said {
    let limits = few();
    let mut monitor = FrameMonitor::new();
    let mut verdict = Ok(());
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let mut from = 0;
    for end in ends {
        verdict = monitor.received(&bytes[from..end], &limits, Instant::ZERO);
        if verdict.is_err() {
            break;
        }
        from = end;
    }
    let incomplete = monitor.incomplete_since().map(|incomplete| incomplete.may_be_data);
    let counts = if verdict.is_err() { FrameCounts::NONE } else { monitor.counts() };
    (
        verdict,
        counts,
        incomplete.filter(|_| verdict.is_ok()),
        monitor.is_settled(),
        monitor.last_stream(),
    )
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![8 => 0_u8..11, 1 => Just(0x10), 1 => any::<u8>()];
    let flags = prop_oneof![Just(0_u8), Just(1), Just(4), Just(5), Just(8), any::<u8>()];
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    (kind, flags, 0_u32..8, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload))
}

proptest! {
    #[test]
    fn verdict_is_the_same_wherever_the_bytes_are_cut(
        frames in prop::collection::vec(any_frame(), 0..12),
        cut in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = PREFACE.to_vec();
        frames.iter().for_each(|frame| bytes.extend(frame));
        bytes.truncate(end.index(bytes.len() + 1));
        let mut cuts: Vec<_> = cut.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = said(&bytes, &[]);
        prop_assert_eq!(&said(&bytes, &cuts), &whole);
        let every: Vec<_> = (0..bytes.len()).collect();
        prop_assert_eq!(&said(&bytes, &every), &whole);
    }

    #[test]
    fn output_is_read_alike_wherever_it_is_cut(
        frames in prop::collection::vec(any_frame(), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let limits = Http2Limits::default();
        let bytes = frames.concat();
        let (mut one, mut other) = (FrameMonitor::new(), FrameMonitor::new());
        let cut = cut.index(bytes.len() + 1);
        prop_assert_eq!(one.sent(&bytes, &limits, Instant::ZERO), Ok(()));
        prop_assert_eq!(other.sent(&bytes[..cut], &limits, Instant::ZERO), Ok(()));
        let between = other.is_between_sent_frames();
        let ends = frames.iter().scan(0, |at, frame| { *at += frame.len(); Some(*at) });
        prop_assert_eq!(between, cut == 0 || ends.into_iter().any(|end| end == cut));
        prop_assert_eq!(other.sent(&bytes[cut..], &limits, Instant::ZERO), Ok(()));
        prop_assert_eq!(one.counts(), other.counts());
        prop_assert_eq!(one.goaway(), other.goaway());
    }
}

#[test]
fn preface_is_checked_at_every_byte() {
    for at in 0..PREFACE.len() {
        let mut wrong = *PREFACE;
        wrong[at] ^= 1;
        assert_eq!(said(&wrong[..=at], &[]).0, Err(Violation::Preface));
        assert_eq!(said(&PREFACE[..=at], &[]).0, Ok(()));
    }
}

#[test]
fn time_gives_back_what_was_used() {
    let limits = few();
    let ping = frame(frame::PING, 0, 0, &[0; 8]);
    let mut monitor = FrameMonitor::new();
    let mut at = |seconds, bytes: &[u8]| {
        monitor.received(bytes, &limits, Instant::ZERO + Duration::from_secs(seconds))
    };
    assert_eq!(at(0, PREFACE), Ok(()));
    assert_eq!(at(0, &ping.repeat(2)), Ok(()));
    for second in 1..1000 {
        assert_eq!(at(second, &ping), Ok(()));
    }
    assert_eq!(at(999, &ping), Err(Violation::Pings));
}

#[test]
fn header_block_is_incomplete_from_its_first_frame_on() {
    let limits = few();
    let mut monitor = FrameMonitor::new();
    let mut at = |seconds, bytes: &[u8]| {
        monitor.received(bytes, &limits, Instant::ZERO + Duration::from_secs(seconds)).unwrap();
        monitor.incomplete_since().map(|incomplete| (incomplete.since - Instant::ZERO).as_secs())
    };
    assert_eq!(at(0, PREFACE), None);
    assert_eq!(at(1, &frame(frame::SETTINGS, 0, 0, &[])), None);
    assert_eq!(at(2, &frame(frame::HEADERS, 0, 1, &[0x82])), Some(2));
    assert_eq!(at(5, &frame(frame::CONTINUATION, 0, 1, &[0x86])), Some(2));
    assert_eq!(at(6, &frame(frame::CONTINUATION, 4, 1, &[0x84])), None);
    // A part of a DATA frame does not count.
    let data = frame(frame::DATA, 0, 1, &[0; 10]);
    assert_eq!(at(7, &data[..9]), None);
    assert_eq!(at(8, &data[9..]), None);
    assert_eq!(at(9, &data[..5]), Some(9));
}
