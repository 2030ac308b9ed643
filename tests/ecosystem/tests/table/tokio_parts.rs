//! The parts of tokio and tokio-util that need no runtime of tokio.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{SinkExt, StreamExt};
use heist::spawn;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{
    Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, broadcast, mpsc, oneshot, watch,
};
use tokio_util::codec::{Framed, LengthDelimitedCodec, LinesCodec};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{connected, run};

#[test]
fn channels_carry_every_message_across_workers() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(4);
        for task in 0..8_usize {
            let sender = sender.clone();
            spawn(async move {
                for number in 0..1000 {
                    sender.send(task * 1000 + number).await.unwrap();
                }
            });
        }
        drop(sender);
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            sum += number;
        }
        assert_eq!(sum, (0..8000).sum::<usize>());

        let (all, mut one) = broadcast::channel(16);
        let mut other = all.subscribe();
        all.send("to all").unwrap();
        assert_eq!((one.recv().await.unwrap(), other.recv().await.unwrap()), ("to all", "to all"));

        let (state, mut seen) = watch::channel(0);
        let (answer, answered) = oneshot::channel();
        spawn(async move {
            seen.wait_for(|it| *it == 7).await.unwrap();
            answer.send("seen").unwrap();
        });
        state.send(7).unwrap();
        assert_eq!(answered.await.unwrap(), "seen");
    });
}

#[test]
fn locks_exclude_and_wake() {
    run(async {
        let counter = Arc::new(Mutex::new(0));
        let table = Arc::new(RwLock::new(0));
        let permits = Arc::new(Semaphore::new(2));
        let start = Arc::new(Barrier::new(8));
        let inside = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (counter, table) = (Arc::clone(&counter), Arc::clone(&table));
                let (permits, start, inside) =
                    (Arc::clone(&permits), Arc::clone(&start), Arc::clone(&inside));
                spawn(async move {
                    start.wait().await;
                    for _ in 0..100 {
                        let _permit = permits.acquire().await.unwrap();
                        // Relaxed: a counter; the semaphore orders what it guards.
                        assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                        *counter.lock().await += 1;
                        *table.write().await += 1;
                        heist::yield_now().await;
                        inside.fetch_sub(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((*counter.lock().await, *table.read().await), (800, 800));

        let (cell, bell) = (Arc::new(OnceCell::new()), Arc::new(Notify::new()));
        let (of_task, rings) = (Arc::clone(&cell), Arc::clone(&bell));
        spawn(async move {
            of_task.get_or_init(|| async { 5 }).await;
            rings.notify_one();
        });
        bell.notified().await;
        assert_eq!(cell.get(), Some(&5));
    });
}

#[test]
fn macros_join_and_select() {
    run(async {
        let (one, two) = tokio::join!(async { 1 }, heist::time::sleep(Duration::from_millis(1)));
        assert_eq!((one, two), (1, ()));
        let both = tokio::try_join!(async { Ok::<_, &str>(1) }, async { Err::<u8, _>("no") });
        assert_eq!(both, Err("no"));

        let (sender, mut receiver) = mpsc::unbounded_channel();
        spawn(async move {
            for number in 0..1000 {
                sender.send(number).unwrap();
                heist::yield_now().await;
            }
        });
        let mut ticks = heist::time::interval(Duration::from_micros(100));
        let mut sum = 0;
        loop {
            tokio::select! {
                number = receiver.recv() => match number {
                    Some(number) => sum += number,
                    None => break,
                },
                _ = ticks.tick() => {}
            }
        }
        assert_eq!(sum, (0..1000).sum::<i32>());
    });
}

#[test]
fn io_util_reads_and_writes_streams() {
    run(async {
        let (near, far) = connected().await;
        let server = spawn(async move {
            let (reading, mut writing) = tokio::io::split(far);
            let mut lines = BufReader::new(reading).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                writing.write_all(format!("{}\n", line.len()).as_bytes()).await.unwrap();
            }
            writing.shutdown().await.unwrap();
        });
        let mut near = near;
        near.write_all(b"one\nthree\n").await.unwrap();
        near.shutdown().await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "3\n5\n");
        server.await.unwrap();

        let (mut writer, mut reader) = tokio::io::duplex(64);
        let copied = spawn(async move {
            let mut bytes = Vec::new();
            tokio::io::copy(&mut reader, &mut bytes).await.unwrap();
            bytes
        });
        writer.write_all(&[1; 10_000]).await.unwrap();
        drop(writer);
        assert_eq!(copied.await.unwrap(), [1; 10_000]);
    });
}

#[test]
fn codecs_frame_a_stream() {
    run(async {
        let (near, far) = connected().await;
        let server = spawn(async move {
            let mut lines = Framed::new(far, LinesCodec::new_with_max_length(64));
            while let Some(Ok(line)) = lines.next().await {
                lines.send(line.to_uppercase()).await.unwrap();
            }
        });
        let mut lines = Framed::new(near, LinesCodec::new());
        for _ in 0..100 {
            lines.send("hello").await.unwrap();
            assert_eq!(lines.next().await.unwrap().unwrap(), "HELLO");
        }
        drop(lines);
        server.await.unwrap();

        let (near, far) = connected().await;
        let mut near = LengthDelimitedCodec::builder().new_framed(near);
        let mut far = LengthDelimitedCodec::builder().new_framed(far);
        near.send(bytes::Bytes::from("a frame")).await.unwrap();
        assert_eq!(far.next().await.unwrap().unwrap(), "a frame");
    });
}

tokio::task_local! {
    static REQUEST: u32;
}

#[test]
fn task_locals_follow_their_task() {
    run(async {
        let tasks = (0..8).map(|number| {
            spawn(REQUEST.scope(number, async move {
                heist::yield_now().await;
                assert_eq!(REQUEST.get(), number);
            }))
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(REQUEST.try_with(|_| ()).is_err());
    });
}

#[test]
fn blocking_receive_works_on_a_blocking_thread() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(1);
        let received = heist::spawn_blocking(move || receiver.blocking_recv());
        sender.send(7).await.unwrap();
        assert_eq!(received.await.unwrap(), Some(7));
    });
}

#[test]
fn futures_that_are_not_send_share_block_on() {
    let runtime = heist::Runtime::new().unwrap();
    runtime.block_on(async {
        let sum = Rc::new(Cell::new(0));
        let add = |number| {
            let sum = Rc::clone(&sum);
            async move {
                heist::yield_now().await;
                sum.set(sum.get() + number);
            }
        };
        tokio::join!(add(1), add(2));
        (3..10).map(add).collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await;
        assert_eq!(sum.get(), 45);
    });
}

#[test]
fn cancellation_token_ends_tasks_and_their_children() {
    run(async {
        let (root, tracker) = (CancellationToken::new(), TaskTracker::new());
        let ended = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let (token, ended) = (root.child_token(), Arc::clone(&ended));
            let task = tracker.track_future(async move {
                let outcome = token.run_until_cancelled(std::future::pending::<()>()).await;
                assert_eq!(outcome, None);
                // Relaxed: `wait` of the tracker orders it before the assertion.
                ended.fetch_add(1, Ordering::Relaxed);
            });
            spawn(task);
        }
        let other = root.child_token();
        other.cancel();
        assert!(!root.is_cancelled());
        tracker.close();
        root.cancel();
        tracker.wait().await;
        assert_eq!(ended.load(Ordering::Relaxed), 100);
    });
}
