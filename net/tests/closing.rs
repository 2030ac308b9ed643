//! Once a runtime has begun to shut down, no socket of it becomes ready: a worker drops the task,
//! and `block_on` panics. A shutdown is no error that a caller retries.

#[path = "common/refusing.rs"]
mod refusing;

use std::future::{Future, poll_fn};
use std::io::Read;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heist_net::protocol::{self, Context, Protocol};
use heist_net::{Connection, Driver, Runtime, TcpListener, TcpStream, UnixListener, UnixStream};
use heist_reactor::{Direction, Interest, Kind};
use heist_scheduler::Handle;
use refusing::refusing_address;

/// Far longer than any step here takes: only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

/// Makes one wait, again and again; called inside the runtime.
type Waits = Box<dyn FnMut() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

struct Silent;

impl Protocol for Silent {
    type Message = u32;

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }
}

/// A name, and the maker of its waits.
type Named = (&'static str, fn() -> Waits);

fn waits() -> Vec<Named> {
    fn shared<T: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(
        value: T,
        wait: impl Fn(Arc<T>) -> F + Send + 'static,
    ) -> Waits {
        let value = Arc::new(value);
        Box::new(move || Box::pin(wait(Arc::clone(&value))))
    }
    /// A stream that is used by one wait at a time.
    type Stream = (parking_lot::Mutex<Option<UnixStream>>, UnixStream);
    fn stream() -> Stream {
        let (near, far) = UnixStream::pair().unwrap();
        (parking_lot::Mutex::new(Some(near)), far)
    }
    fn take(stream: &Stream) -> UnixStream {
        stream.0.lock().take().expect("one wait at a time")
    }
    vec![
        ("connect", || {
            let address = refusing_address();
            Box::new(move || Box::pin(async move { drop(TcpStream::connect(address).await) }))
        }),
        ("connect to a name", || {
            let port = refusing_address().port();
            Box::new(move || {
                Box::pin(async move { drop(TcpStream::connect(("localhost", port)).await) })
            })
        }),
        ("connect to a file", || {
            Box::new(|| {
                Box::pin(async { drop(UnixStream::connect("/nowhere/heist.socket").await) })
            })
        }),
        ("resolve", || {
            Box::new(|| Box::pin(async { drop(heist_net::resolve("localhost:1").await) }))
        }),
        ("resolve an address", || {
            Box::new(|| Box::pin(async { drop(heist_net::resolve("127.0.0.1:1").await) }))
        }),
        ("bind", || Box::new(|| Box::pin(async { drop(TcpListener::bind("127.0.0.1:0").await) }))),
        ("bind to a name", || {
            Box::new(|| Box::pin(async { drop(TcpListener::bind("localhost:0").await) }))
        }),
        ("accept", || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            shared(listener, |listener| async move { drop(listener.accept().await) })
        }),
        ("accept from a file", || {
            let name =
                format!("heist-closing-{}-{:?}", std::process::id(), std::thread::current().id());
            let path = std::env::temp_dir().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            shared(listener, |listener| async move { drop(listener.accept().await) })
        }),
        ("read", || {
            shared(stream(), |shared| async move {
                let mut stream = take(&shared);
                drop(stream.read(&mut [0; 1]).await);
                *shared.0.lock() = Some(stream);
            })
        }),
        ("peek", || {
            shared(stream(), |shared| async move {
                let stream = take(&shared);
                drop(stream.peek(&mut [0; 1]).await);
                *shared.0.lock() = Some(stream);
            })
        }),
        ("write", || {
            shared(stream(), |shared| async move {
                let mut stream = take(&shared);
                drop(stream.write(&[0; 1 << 16]).await);
                *shared.0.lock() = Some(stream);
            })
        }),
        ("a source of one's own", || {
            let (near, far) = StdUnixStream::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            let handle = Handle::current();
            let driver = Driver::of(&handle).unwrap();
            let source = driver.register(near, Interest::Read, Kind::Other).unwrap();
            shared((source, far), |shared| async move {
                let read = |mut io: &StdUnixStream| io.read(&mut [0; 1]);
                drop(poll_fn(|cx| shared.0.poll_io(Direction::Read, cx, read)).await);
                drop(poll_fn(|cx| shared.0.poll_ready(Direction::Read, cx)).await);
                let drain = |cx: &mut std::task::Context<'_>| {
                    shared.0.poll_drain(Direction::Read, cx).map_ok(drop)
                };
                drop(poll_fn(drain).await);
            })
        }),
        ("send", || {
            let (near, far) = UnixStream::pair().unwrap();
            let mut connection = Connection::new(near, Silent);
            let sender = connection.inbox();
            shared((sender, parking_lot::Mutex::new(connection), far), |shared| async move {
                let _ = shared.0.send(1).await;
            })
        }),
    ]
}

fn runtime() -> Runtime {
    heist_net::Builder::new().ignore_environment().workers(1).start().unwrap()
}

/// Failure: a loop that retries after every outcome of a wait never ended.
#[test]
fn no_socket_becomes_ready_on_a_worker_once_the_runtime_closes() {
    for (kind, waits) in waits() {
        let runtime = runtime();
        let resumed = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&resumed);
        let (inside, entered) = mpsc::channel();
        drop(runtime.spawn(async move {
            let mut waits = waits();
            inside.send(()).unwrap();
            // The shutdown begins in this poll.
            while !Handle::current().is_shutting_down() {
                std::thread::yield_now();
            }
            loop {
                waits().await;
                counts.fetch_add(1, Ordering::SeqCst);
            }
        }));
        entered.recv_timeout(HANG).unwrap();
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{kind}: {report:?}");
        assert_eq!(report.tasks_dropped, 1, "{kind}: {report:?}");
        assert_eq!(resumed.load(Ordering::SeqCst), 0, "{kind}");
    }
}

/// The same where the shutdown finds the task waiting.
#[test]
fn a_socket_that_is_waited_for_does_not_become_ready_by_a_shutdown() {
    for (kind, waits) in waits() {
        if !["accept", "accept from a file", "read", "peek", "a source of one's own"]
            .contains(&kind)
        {
            continue;
        }
        let runtime = runtime();
        let resumed = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&resumed);
        let (inside, entered) = mpsc::channel();
        drop(runtime.spawn(async move {
            let mut waits = waits();
            let mut wait = waits();
            poll_fn(|cx| {
                assert!(wait.as_mut().poll(cx).is_pending());
                inside.send(()).unwrap();
                std::task::Poll::Ready(())
            })
            .await;
            wait.await;
            counts.fetch_add(1, Ordering::SeqCst);
        }));
        entered.recv_timeout(HANG).unwrap();
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_left, report.tasks_dropped), (0, 1), "{kind}: {report:?}");
        assert_eq!(resumed.load(Ordering::SeqCst), 0, "{kind}");
    }
}

#[test]
fn block_on_panics_when_its_socket_ends_with_the_runtime() {
    for (kind, waits) in waits() {
        let runtime = runtime();
        let handle = runtime.handle().clone();
        let (inside, entered) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            handle.block_on(async move {
                let mut waits = waits();
                inside.send(()).unwrap();
                loop {
                    waits().await;
                }
            })
        });
        entered.recv_timeout(HANG).unwrap();
        assert_eq!(runtime.shutdown(HANG).threads_left, 0, "{kind}");
        let panic = thread.join().unwrap_err();
        let message = panic.downcast::<&str>().unwrap();
        assert!(message.contains("the runtime was shut down"), "{kind}: {message}");
    }
}

/// A task of another runtime cannot be dropped with this one: it gets the error.
#[test]
fn another_runtime_learns_that_the_queue_is_closed() {
    let (owner, other) = (runtime(), runtime());
    let (near, _far) = {
        let _inside = owner.handle().enter();
        UnixStream::pair().unwrap()
    };
    let (inside, entered) = mpsc::channel();
    let reading = other.spawn(async move {
        let mut near = near;
        let mut buffer = [0; 1];
        let mut read = Box::pin(near.read(&mut buffer));
        poll_fn(|cx| {
            assert!(read.as_mut().poll(cx).is_pending());
            inside.send(()).unwrap();
            std::task::Poll::Ready(())
        })
        .await;
        read.await
    });
    entered.recv_timeout(HANG).unwrap();
    assert_eq!(owner.shutdown(HANG).tasks_left, 0);
    let error = other.block_on(reading).unwrap().unwrap_err();
    assert!(error.get_ref().unwrap().is::<heist_reactor::Closed>(), "{error}");
}

/// Failures (tokio 4782, 2345): each of these loops ran without a bound in one poll.
#[test]
fn each_socket_that_is_ready_at_once_spends_the_budget() {
    const BUDGET: usize = 16;
    const ROUNDS: usize = 10 * BUDGET;
    let runtime = heist_net::Builder::new()
        .ignore_environment()
        .workers(1)
        .budget(BUDGET as u32)
        .start()
        .unwrap();
    type Rounds = fn(Arc<AtomicUsize>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    let kinds: [(&str, Rounds); 4] = [
        ("connect", |round| {
            Box::pin(async move {
                let address = refusing_address();
                for _ in 0..ROUNDS {
                    drop(TcpStream::connect(address).await);
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
        ("connect to a file", |round| {
            Box::pin(async move {
                for _ in 0..ROUNDS {
                    drop(UnixStream::connect("/nowhere/heist.socket").await);
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
        ("resolve", |round| {
            Box::pin(async move {
                for _ in 0..ROUNDS {
                    drop(heist_net::resolve("127.0.0.1:1").await);
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
        ("a source of one's own", |round| {
            Box::pin(async move {
                let (near, far) = StdUnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                std::io::Write::write_all(&mut &far, &[7; ROUNDS]).unwrap();
                let handle = Handle::current();
                let driver = Driver::of(&handle).unwrap();
                let source = driver.register(near, Interest::Read, Kind::Other).unwrap();
                let read = |mut io: &StdUnixStream| io.read(&mut [0; 1]);
                for _ in 0..ROUNDS {
                    poll_fn(|cx| source.poll_io(Direction::Read, cx, read)).await.unwrap();
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
    ];
    for (kind, rounds) in kinds {
        let (round, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (mut task, counts) = (rounds(Arc::clone(&round)), Arc::clone(&most));
        let each_poll = poll_fn(move |cx| {
            let before = round.load(Ordering::SeqCst);
            let polled = task.as_mut().poll(cx);
            counts.fetch_max(round.load(Ordering::SeqCst) - before, Ordering::SeqCst);
            polled
        });
        runtime.block_on(runtime.spawn(each_poll)).unwrap();
        assert!((1..=BUDGET).contains(&most.load(Ordering::SeqCst)), "{kind}: {most:?}");
    }
}
