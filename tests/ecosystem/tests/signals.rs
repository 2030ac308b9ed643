//! Signals to a process that has several runtimes of heist and one of tokio. No other test is in this
//! process: each signal reaches all of it.

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

#[test]
fn each_signal_reaches_each_stream_of_heist_and_of_tokio() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtimes = [heist::Runtime::new().unwrap(), heist::Runtime::new().unwrap()];
    let mut of_tokio = tokio.block_on(async {
        let kind = tokio::signal::unix::SignalKind::user_defined1();
        tokio::signal::unix::signal(kind).unwrap()
    });
    let mut of_heist = runtimes.each_ref().map(|runtime| {
        runtime.block_on(async {
            let kind = heist::signal::SignalKind::user_defined1();
            heist::signal::signal(kind).unwrap()
        })
    });
    for _ in 0..100 {
        raise();
        for (runtime, signals) in runtimes.iter().zip(&mut of_heist) {
            received_by_heist(runtime, signals);
        }
        received_by_tokio(&tokio, &mut of_tokio);
    }
    // The end of one takes nothing from the others.
    let [first, mut second] = of_heist;
    drop(first);
    raise();
    received_by_heist(&runtimes[1], &mut second);
    received_by_tokio(&tokio, &mut of_tokio);
    drop(second);
    raise();
    received_by_tokio(&tokio, &mut of_tokio);
}

fn raise() {
    kill_process(getpid(), Signal::USR1).unwrap();
}

fn received_by_heist(runtime: &heist::Runtime, signals: &mut heist::signal::Signal) {
    let received = runtime.block_on(async { heist::time::timeout(GUARD, signals.recv()).await });
    assert_eq!(received.unwrap(), Some(()));
}

fn received_by_tokio(runtime: &tokio::runtime::Runtime, signals: &mut tokio::signal::unix::Signal) {
    let received = runtime.block_on(async { tokio::time::timeout(GUARD, signals.recv()).await });
    assert_eq!(received.unwrap(), Some(()));
}

/// Longer than any wait in a test takes.
const GUARD: Duration = Duration::from_secs(60);
