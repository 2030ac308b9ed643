//! Signals as streams, by real signals to this process. Each test has signals of its own.

use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use heist_net::signal::{Signal, SignalKind, ctrl_c, signal, terminate};
use heist_net::{Builder, Runtime};
use heist_scheduler::time::timeout;
use rustix::process::{Signal as Sent, getpid, kill_process};
use signal_hook::consts::FORBIDDEN;
use signal_hook::low_level::raise;

const HANG: Duration = Duration::from_secs(60);

#[test]
fn each_stream_of_each_runtime_and_each_other_handler_gets_each_signal() {
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&flag)).unwrap();
    let runtimes = [Runtime::new().unwrap(), Runtime::new().unwrap()];
    let mut streams: Vec<(&Runtime, Signal)> = Vec::new();
    for runtime in [&runtimes[0], &runtimes[0], &runtimes[1]] {
        let signal = runtime.block_on(async { signal(SignalKind::user_defined1()).unwrap() });
        streams.push((runtime, signal));
    }
    for _ in 0..100 {
        kill_process(getpid(), Sent::USR1).unwrap();
        for (runtime, signal) in &mut streams {
            runtime.block_on(received(signal));
        }
        // The stream above may have been written to before the flag is set.
        while !flag.swap(false, Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn tasks_on_workers_are_woken_by_a_signal() {
    let runtime = Builder::new().workers(2).start().unwrap();
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let mut signal = {
                let _entered = runtime.handle().enter();
                signal(SignalKind::child()).unwrap()
            };
            runtime.spawn(async move { signal.recv().await })
        })
        .collect();
    kill_process(getpid(), Sent::CHILD).unwrap();
    for task in tasks {
        let received = runtime.block_on(async { timeout(HANG, task).await.unwrap() });
        assert_eq!(received.unwrap(), Some(()));
    }
}

#[test]
fn thousands_of_signals_are_one_and_do_not_block_the_handler() {
    Runtime::new().unwrap().block_on(async {
        let mut signal = signal(SignalKind::user_defined2()).unwrap();
        for _ in 0..2 {
            for _ in 0..10_000 {
                raise(SignalKind::user_defined2().into()).unwrap();
            }
            received(&mut signal).await;
            let again = poll_fn(|cx| Poll::Ready(signal.poll_recv(cx))).await;
            assert!(again.is_pending(), "{again:?}");
        }
    });
}

#[test]
fn dropped_wait_loses_no_signal() {
    Runtime::new().unwrap().block_on(async {
        let mut signal = signal(SignalKind::window_change()).unwrap();
        for _ in 0..100 {
            {
                let mut wait = pin!(signal.recv());
                let polled = poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx))).await;
                assert!(polled.is_pending());
                raise(SignalKind::window_change().into()).unwrap();
            }
            received(&mut signal).await;
        }
        raise(SignalKind::window_change().into()).unwrap();
        let next = poll_fn(|cx| Pin::new(&mut signal).poll_next(cx));
        assert_eq!(timeout(HANG, next).await.unwrap(), Some(()));
    });
}

#[test]
fn signals_without_a_handler_are_errors() {
    // Those that end or stop the process whatever it does, and numbers of no signal.
    for number in FORBIDDEN.iter().copied().chain([0, -1, 1000]) {
        let error = signal(SignalKind::from_raw(number)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{number}: {error}");
    }
}

#[test]
fn default_action_stays_off_when_the_stream_is_gone() {
    drop(signal(SignalKind::hangup()).unwrap());
    raise(SignalKind::hangup().into()).unwrap();
    let mut next = signal(SignalKind::hangup()).unwrap();
    raise(SignalKind::hangup().into()).unwrap();
    Runtime::new().unwrap().block_on(received(&mut next));
}

#[test]
fn children_have_the_default_actions() {
    let _signal = signal(SignalKind::alarm()).unwrap();
    let status = Command::new("sh").args(["-c", "kill -ALRM $$; exit 7"]).status().unwrap();
    assert_eq!(status.signal(), Some(SignalKind::alarm().as_raw_value()));
}

#[test]
fn signals_before_the_runtime_are_received_in_it() {
    let (stop, interrupted) = (terminate(), ctrl_c());
    raise(SignalKind::terminate().into()).unwrap();
    let runtime = Runtime::new().unwrap();
    let stopped = runtime.block_on(async { timeout(HANG, stop).await.unwrap() });
    assert_eq!(stopped.unwrap(), SignalKind::terminate());

    let stop = terminate();
    raise(SignalKind::interrupt().into()).unwrap();
    runtime.block_on(async {
        timeout(HANG, interrupted).await.unwrap().unwrap();
        assert_eq!(timeout(HANG, stop).await.unwrap().unwrap(), SignalKind::interrupt());
    });
}

#[test]
fn stream_ends_with_the_runtime_that_it_belongs_to() {
    let first = Runtime::new().unwrap();
    let mut signal = first.block_on(async { signal(SignalKind::io()).unwrap() });
    assert_eq!(first.shutdown(HANG).threads_left, 0);
    let next = Runtime::new().unwrap();
    for _ in 0..2 {
        assert_eq!(next.block_on(async { timeout(HANG, signal.recv()).await.unwrap() }), None);
    }
}

#[test]
fn stream_outside_of_a_runtime_ends() {
    let mut signal = signal(SignalKind::quit()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(signal.poll_recv(&mut cx), Poll::Ready(None));
}

async fn received(signal: &mut Signal) {
    assert_eq!(timeout(HANG, signal.recv()).await.unwrap(), Some(()));
}
