//! Which task is on which worker, asked from outside.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};

use heist_scheduler::TaskBuilder;
use heist_tests::exposition::{Family, Sample};
use heist_tests::hang_guard;
use metrics_util::debugging::DebuggingRecorder;

use super::super::Exporter;
use super::{read, runtime};
use crate::Runtime;

#[test]
fn with_every_worker_stuck_the_page_tells_which_task_is_on_which_worker() {
    let _guard = hang_guard("with_every_worker_stuck_the_page_tells_which_task_is_on_which_worker");
    let runtime = runtime(2);
    let exporter = Exporter::new();
    exporter.runtime("stuck", runtime.handle());
    let (started, has_started) = channel();
    let releases: Vec<Sender<()>> = (0..runtime.handle().workers())
        .map(|_| {
            let (release, released) = channel();
            hog(&runtime, started.clone(), released);
            has_started.recv().unwrap();
            release
        })
        .collect();
    // The poll has to become long first.
    let page = until(&exporter, |page| named_workers(page).len() == releases.len());
    assert_eq!(named_workers(&page).len(), releases.len());
    for sample in current_polls(&page) {
        assert_eq!(sample.label("task"), Some("hog"));
        let place = sample.label("spawned_at").unwrap();
        assert!(place.contains("stuck.rs:"), "{place}");
        assert!(sample.value >= 0.01);
    }
    // A recorder keeps every series it was given: the poll would be under way for ever.
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || exporter.publish());
    let kept = recorder.snapshotter().snapshot().into_vec();
    assert!(kept.iter().all(|(key, ..)| key.key().name() != CURRENT_POLL));
    drop(releases);
    let page = until(&exporter, |page| named_workers(page).is_empty());
    assert_eq!(current_polls(&page).len(), runtime.handle().workers());
}

/// Blocks a worker until the other end of `released` is dropped.
fn hog(runtime: &Runtime, started: Sender<()>, released: Receiver<()>) {
    let future = async move {
        started.send(()).unwrap();
        let _ = released.recv();
    };
    drop(TaskBuilder::new().name("hog").spawn_on(runtime.handle(), future));
}

fn until(exporter: &Exporter, wanted: impl Fn(&[Family]) -> bool) -> Vec<Family> {
    loop {
        let page = read(&exporter.render());
        if wanted(&page) {
            return page;
        }
        std::thread::yield_now();
    }
}

fn current_polls(page: &[Family]) -> Vec<&Sample> {
    let family = page.iter().filter(|family| family.name == CURRENT_POLL);
    family.flat_map(|family| &family.samples).collect()
}

fn named_workers(page: &[Family]) -> BTreeSet<&str> {
    let named = current_polls(page).into_iter().filter(|sample| sample.label("task").is_some());
    named.map(|sample| sample.label("worker").unwrap()).collect()
}

const CURRENT_POLL: &str = "heist_worker_current_poll_seconds";
