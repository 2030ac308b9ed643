//! What a task costs: nanoseconds per operation of the scheduler, on two workers.
//!
//! `cargo bench --bench scheduler`; `-- --smoke` runs each once, to see that it works.

#![allow(clippy::print_stdout)]

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use heist::{Runtime, spawn, time, yield_now};

type Bench = (&'static str, u32, fn(&Runtime, u32));

const BENCHES: &[Bench] = &[
    ("spawn from outside", 20_000, |runtime, count| {
        let tasks: Vec<_> = (0..count).map(|_| runtime.spawn(async {})).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    }),
    ("spawn from a worker", 20_000, |runtime, count| {
        on_worker(runtime, async move {
            let tasks: Vec<_> = (0..count).map(|_| spawn(async {})).collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }),
    ("yield", 100_000, |runtime, count| {
        on_worker(runtime, async move {
            for _ in 0..count {
                yield_now().await;
            }
        });
    }),
    ("chained spawn", 20_000, |runtime, count| {
        fn link(left: u32) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                if left > 0 {
                    spawn(link(left - 1)).await.unwrap();
                }
            })
        }
        on_worker(runtime, async move {
            for _ in 0..count / 100 {
                link(100).await;
            }
        });
    }),
    ("timer: arm and cancel", 100_000, |runtime, count| {
        on_worker(runtime, async move {
            for _ in 0..count {
                let mut timer = time::Timer::new();
                timer.set(Some(time::Instant::now() + Duration::from_secs(30)));
                poll_fn(|cx| {
                    assert!(timer.poll_elapsed(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
        });
    }),
    ("spawn_blocking", 2_000, |runtime, count| {
        runtime.block_on(async move {
            for _ in 0..count {
                heist::spawn_blocking(|| ()).await.unwrap();
            }
        });
    }),
];

fn on_worker(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(runtime.spawn(work)).unwrap();
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let runtime = heist::Builder::new().workers(2).start()?;
    for &(name, count, bench) in BENCHES {
        if smoke {
            bench(&runtime, 100);
            println!("{name}: runs");
            continue;
        }
        bench(&runtime, count);
        let mut rounds: Vec<Duration> = (0..9)
            .map(|_| {
                let start = Instant::now();
                bench(&runtime, count);
                start.elapsed()
            })
            .collect();
        rounds.sort();
        let each = |round: Duration| round.as_nanos() / u128::from(count);
        println!(
            "{name}: {} ns (quartiles {} to {})",
            each(rounds[4]),
            each(rounds[2]),
            each(rounds[6])
        );
    }
    Ok(())
}
