//! Crates that bring their own threads, or need none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::channel::{mpsc, oneshot};
use futures::future::{self, Either};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::stream::FuturesUnordered;
use futures::{SinkExt, StreamExt, select};
use heist::spawn;
use rustix::process::{Signal, getpid, kill_process};

use crate::run;

#[test]
fn futures_channels_and_combinators_run() {
    run(async {
        let (mut sender, mut receiver) = mpsc::channel(1);
        spawn(async move {
            for number in 0..1000 {
                sender.send(number).await.unwrap();
            }
        });
        let (end, mut ended) = oneshot::channel();
        let mut end = Some(end);
        let mut sum = 0;
        loop {
            select! {
                number = receiver.next() => match number {
                    Some(number) => sum += number,
                    None => end.take().expect("the channel ends once").send(()).unwrap(),
                },
                outcome = ended => break outcome.unwrap(),
            }
        }
        assert_eq!(sum, (0..1000).sum::<i32>());

        let tasks: FuturesUnordered<_> = (0..100).map(|it| spawn(async move { it })).collect();
        let outcomes: Vec<_> = tasks.map(Result::unwrap).collect().await;
        assert_eq!(outcomes.iter().sum::<i32>(), (0..100).sum::<i32>());

        let never = future::pending::<()>();
        let first = future::select(never, Box::pin(heist::yield_now())).await;
        assert!(matches!(first, Either::Right(_)));
    });
}

#[test]
fn async_channel_lock_and_event_listener_run() {
    run(async {
        let (sender, receiver) = async_channel::bounded(2);
        let sum = Arc::new(async_lock::Mutex::new(0));
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let (receiver, sum) = (receiver.clone(), Arc::clone(&sum));
                spawn(async move {
                    while let Ok(number) = receiver.recv().await {
                        *sum.lock().await += number;
                    }
                })
            })
            .collect();
        for number in 0..1000 {
            sender.send(number).await.unwrap();
        }
        sender.close();
        for taker in takers {
            taker.await.unwrap();
        }
        assert_eq!(*sum.lock().await, (0..1000).sum::<i32>());

        let event = Arc::new(event_listener::Event::new());
        let listener = event.listen();
        let of_task = Arc::clone(&event);
        spawn(async move { of_task.notify(1) });
        listener.await;
    });
}

#[test]
fn moka_computes_a_value_once_for_many_tasks() {
    run(async {
        let cache = moka::future::Cache::new(100);
        let computed = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (cache, computed) = (cache.clone(), Arc::clone(&computed));
                spawn(async move {
                    let value = async {
                        heist::yield_now().await;
                        // Relaxed: the joins order it before the assertion.
                        computed.fetch_add(1, Ordering::Relaxed);
                        "value"
                    };
                    cache.get_with("key", value).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), "value");
        }
        assert_eq!(computed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn async_signal_reports_a_signal() {
    run(async {
        let mut signals = async_signal::Signals::new([async_signal::Signal::Usr2]).unwrap();
        kill_process(getpid(), Signal::USR2).unwrap();
        let signal = signals.next().await.unwrap().unwrap();
        assert_eq!(signal, async_signal::Signal::Usr2);
    });
}

#[test]
fn files_processes_and_blocking_work_run_beside_the_workers() {
    run(async {
        let folder = std::env::temp_dir().join(format!("heist-table-{}", std::process::id()));
        async_fs::create_dir_all(&folder).await.unwrap();
        let path = folder.join("file");
        async_fs::write(&path, b"contents").await.unwrap();
        assert_eq!(async_fs::read(&path).await.unwrap(), b"contents");

        let mut child = async_process::Command::new("cat")
            .stdin(async_process::Stdio::piped())
            .stdout(async_process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"through a pipe").await.unwrap();
        drop(input);
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).await.unwrap();
        assert_eq!(output, "through a pipe");
        assert!(child.status().await.unwrap().success());

        let length = blocking::unblock(move || std::fs::metadata(path).unwrap().len()).await;
        assert_eq!(length, 8);
        async_fs::remove_dir_all(&folder).await.unwrap();
    });
}
