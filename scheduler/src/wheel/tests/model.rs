//! Random sequences of steps: the queue does what a sorted map does.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::Armed;
use super::super::cached::CachedEntry;
use super::super::tick::Tick;
use super::{Bench, NO_LIMIT, days};
use crate::clock::Instant;

#[derive(Clone, Debug)]
enum Step {
    Arm(Duration),
    Cancel(prop::sample::Index),
    Postpone(prop::sample::Index, Duration),
    Rearm(prop::sample::Index, Duration),
    Advance(Duration, usize),
}

fn durations() -> impl Strategy<Value = Duration> {
    let ranges = [0..1u64 << 17, 0..1 << 25, 0..1 << 37, 0..1 << 56];
    let nanos = prop::sample::select(ranges.to_vec()).prop_flat_map(|range| range);
    prop_oneof![
        12 => nanos.prop_map(Duration::from_nanos),
        1 => Just(days(400)),
        1 => Just(Duration::MAX),
    ]
}

fn jumps() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (0..1u64 << 26).prop_map(Duration::from_nanos),
        4 => (0..1u64 << 40).prop_map(Duration::from_nanos),
        1 => Just(days(400)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let limits = prop_oneof![Just(NO_LIMIT), 1..4usize];
    let step = prop_oneof![
        6 => durations().prop_map(Step::Arm),
        2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        2 => (any::<prop::sample::Index>(), durations()).prop_map(|(i, d)| Step::Postpone(i, d)),
        2 => (any::<prop::sample::Index>(), durations()).prop_map(|(i, d)| Step::Rearm(i, d)),
        4 => (jumps(), limits).prop_map(|(d, limit)| Step::Advance(d, limit)),
    ];
    prop::collection::vec(step, 1..200)
}

/// What the queue should hold, by name.
#[derive(Default)]
struct Model {
    now: Instant,
    waiting: BTreeMap<usize, (Instant, CachedEntry)>,
    /// Fired, but not yet handed back.
    fired: BTreeMap<usize, CachedEntry>,
    names: usize,
}

impl Model {
    fn pick(&self, index: prop::sample::Index) -> Option<usize> {
        let names: Vec<usize> = self.waiting.keys().copied().collect();
        (!names.is_empty()).then(|| *index.get(&names))
    }

    fn due(&self) -> Vec<usize> {
        let reached = Tick::reached(self.now);
        let due = self.waiting.iter().filter(|(_, (at, _))| Tick::of_deadline(*at) <= reached);
        due.map(|(name, _)| *name).collect()
    }

    fn first(&self) -> Instant {
        let ticks =
            self.waiting.values().map(|(deadline, _)| Tick::of_deadline(*deadline).instant());
        ticks.min().unwrap_or(Instant::FAR_FUTURE)
    }

    fn step(&mut self, bench: &Bench, step: Step) {
        match step {
            Step::Arm(duration) => self.arm(bench, self.now + duration),
            Step::Cancel(index) => self.cancel(index),
            Step::Postpone(index, duration) => self.postpone(index, duration),
            Step::Rearm(index, duration) => self.rearm(bench, index, self.now + duration),
            Step::Advance(duration, limit) => self.advance(bench, duration, limit),
        }
        let next = bench.queue.next().unwrap_or(Instant::FAR_FUTURE);
        assert!(next <= self.first(), "late: {next:?}, but due at {:?}", self.first());
    }

    fn arm(&mut self, bench: &Bench, deadline: Instant) {
        self.names += 1;
        match bench.arm(self.names, deadline) {
            Armed::Waits(Some(entry)) => {
                self.waiting.insert(self.names, (deadline, entry));
            }
            Armed::Due => assert!(deadline <= self.now, "{deadline:?} is not due"),
            other => panic!("{other:?}"),
        }
    }

    fn cancel(&mut self, index: prop::sample::Index) {
        if let Some(name) = self.pick(index)
            && let Some((_, entry)) = self.waiting.remove(&name)
        {
            entry.cancel();
        }
    }

    fn postpone(&mut self, index: prop::sample::Index, duration: Duration) {
        if let Some(name) = self.pick(index)
            && let Some((deadline, entry)) = self.waiting.get_mut(&name)
        {
            *deadline += duration;
            entry.postpone(Tick::of_deadline(*deadline));
        }
    }

    /// Moves a timer to any other deadline, in the entry that it has.
    fn rearm(&mut self, bench: &Bench, index: prop::sample::Index, deadline: Instant) {
        let Some(name) = self.pick(index) else { return };
        let (_, entry) = self.waiting[&name].clone();
        match bench.queue.arm(Some(&entry), deadline, &bench.waker(name)) {
            Armed::Waits(None) => {
                self.waiting.insert(name, (deadline, entry));
            }
            Armed::Due => {
                assert!(deadline <= self.now);
                entry.cancel();
                self.waiting.remove(&name);
            }
            other => panic!("{other:?}"),
        }
    }

    /// Everything due fires, in the order of ticks, and nothing else; if need be in several goes.
    fn advance(&mut self, bench: &Bench, duration: Duration, limit: usize) {
        self.now += duration;
        let mut due = self.due();
        let mut fired = Vec::new();
        while bench.queue.next().is_some_and(|next| next <= self.now) {
            fired.extend(bench.advance(self.now, limit));
        }
        let ticks = |name: &usize| Tick::of_deadline(self.waiting[name].0);
        if limit == NO_LIMIT {
            assert!(fired.is_sorted_by_key(ticks), "out of order: {fired:?}");
        }
        fired.sort_unstable();
        due.sort_unstable();
        // A timer in the last tick of all may be left: no test advances so far.
        due.retain(|name| ticks(name) < Tick::LAST);
        fired.retain(|name| ticks(name) < Tick::LAST);
        assert_eq!(fired, due);
        for name in fired {
            let (_, entry) = self.waiting.remove(&name).expect("it was waiting, as `ticks` found");
            self.fired.insert(name, entry);
        }
        // Half of the fired ones are handed back now, the others keep their entries.
        self.fired.retain(|name, entry| {
            if name % 2 == 0 {
                entry.clone().cancel();
            }
            name % 2 != 0
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_as_a_sorted_map_does(steps in steps()) {
        let (bench, mut model) = (Bench::new(), Model::default());
        for step in steps {
            model.step(&bench, step);
        }
        prop_assert_eq!(bench.queue.len(), model.waiting.len());
        model.fired.into_values().for_each(CachedEntry::cancel);
        prop_assert_eq!(bench.queue.close().len(), model.waiting.len());
    }
}
