//! How long an idle runtime takes to run what comes from outside: the row `wake`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::runtime::Runtime;

/// Spawns a short task every 500 µs and prints, as one line of JSON, how long after its spawn it
/// ran, and how often the workers gave up their CPUs for each.
pub fn run<R: Runtime>(workers: usize, count: usize) {
    let runtime = R::start(workers);
    let spawn = |times: &Arc<Mutex<Vec<u64>>>| {
        let (done, ran) = oneshot::channel();
        let (times, spawned) = (Arc::clone(times), Instant::now());
        runtime.detach(async move {
            let late = spawned.elapsed().as_nanos() as u64;
            times.lock().expect("no thread panics holding it").push(late);
            let _ = done.send(());
        });
        ran
    };
    let warm = Arc::default();
    for _ in 0..100 {
        let _ = futures_lite::future::block_on(spawn(&warm));
    }
    let (times, before) = (Arc::default(), switches_of_others());
    for _ in 0..count {
        std::thread::sleep(GAP);
        drop(spawn(&times));
    }
    std::thread::sleep(GAP);
    let switches = switches_of_others() - before;
    let mut times = std::mem::take(&mut *times.lock().expect("no thread panics holding it"));
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    println!(
        "{{\"p50_us\": {:.2}, \"p99_us\": {:.2}, \"switches\": {:.3}}}",
        at(0.5),
        at(0.99),
        switches as f64 / count as f64
    );
}

/// Voluntary context switches of every thread but this one, so far.
fn switches_of_others() -> u64 {
    let own = rustix::thread::gettid().as_raw_nonzero().to_string();
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let others = tasks.flatten().filter(|task| *task.file_name() != *own);
    others
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .filter_map(|status| {
            let line =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line?.trim().parse::<u64>().ok()
        })
        .sum()
}

const GAP: Duration = Duration::from_micros(500);
