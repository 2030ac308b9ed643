//! A runtime whose tasks, blocking work and `block_on` are inside a runtime of tokio.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heist_net::{Builder, Runtime, TcpListener, TcpStream};
use heist_scheduler::{JoinError, spawn, spawn_blocking, time, yield_now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HANG: Duration = Duration::from_secs(60);

/// Operations of tokio in one poll, at most.
const TOKIO_BUDGET: usize = 128;

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn beside(tokio: &tokio::runtime::Runtime, workers: usize) -> Runtime {
    Builder::new()
        .workers(workers)
        .ignore_environment()
        .beside_tokio(tokio.handle().clone())
        .start()
        .unwrap()
}

fn message(error: JoinError) -> String {
    match error.into_panic().downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&'static str>().unwrap()).to_owned(),
    }
}

/// Failure: "there is no reactor running, must be called from the context of a Tokio 1.x runtime".
#[test]
fn sockets_timers_and_tasks_of_tokio_work_everywhere() {
    let tokio = tokio();
    async fn exercise() -> u8 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            stream.write_all(b"x").await.unwrap();
        });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let byte = stream.read_u8().await.unwrap();
        server.await.unwrap();
        tokio::task::spawn_blocking(move || byte).await.unwrap()
    }
    let current_thread =
        Builder::new().current_thread().beside_tokio(tokio.handle().clone()).start().unwrap();
    for runtime in [beside(&tokio, 2), current_thread] {
        assert_eq!(runtime.block_on(exercise()), b'x');
        assert_eq!(runtime.block_on(runtime.spawn(exercise())).unwrap(), b'x');
        let work =
            runtime.spawn_blocking(|| tokio::runtime::Handle::current().block_on(exercise()));
        assert_eq!(runtime.block_on(work).unwrap(), b'x');
    }
}

#[test]
fn sockets_of_both_work_in_one_task() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"heist").await.unwrap();
        });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        server.await.unwrap();
        assert_eq!(answer, b"heist");
    });
}

/// Something of tokio's that is ready at once.
trait AlwaysReady {
    fn operation(&mut self) -> impl Future<Output = ()> + Send;
}

/// A socket with more bytes than are read, one by one.
struct FullSocket {
    near: tokio::net::UnixStream,
    _far: tokio::net::UnixStream,
}

impl FullSocket {
    async fn new() -> FullSocket {
        let (near, mut far) = tokio::net::UnixStream::pair().unwrap();
        far.write_all(&[0; 9 * TOKIO_BUDGET]).await.unwrap();
        FullSocket { near, _far: far }
    }
}

impl AlwaysReady for FullSocket {
    async fn operation(&mut self) {
        self.near.read_u8().await.unwrap();
    }
}

struct FullChannel(
    tokio::sync::mpsc::UnboundedSender<()>,
    tokio::sync::mpsc::UnboundedReceiver<()>,
);

impl FullChannel {
    fn new() -> FullChannel {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        FullChannel(sender, receiver)
    }
}

impl AlwaysReady for FullChannel {
    async fn operation(&mut self) {
        self.0.send(()).unwrap();
        self.1.recv().await.unwrap();
    }
}

/// Does operations that are ready, one by one, until another task of the one worker had a turn; how many
/// there were. Gives up after a multiple of the budget.
async fn operations_until_another_turn(mut source: impl AlwaysReady) -> usize {
    source.operation().await;
    let turn = Arc::new(AtomicBool::new(false));
    let other = spawn({
        let turn = Arc::clone(&turn);
        // Relaxed: both tasks run on one thread.
        async move { turn.store(true, Ordering::Relaxed) }
    });
    let mut operations = 0;
    while !turn.load(Ordering::Relaxed) && operations < 8 * TOKIO_BUDGET {
        source.operation().await;
        operations += 1;
    }
    other.await.unwrap();
    operations
}

/// Failure: tokio counts no operations off its own threads, so the task kept its worker for ever.
#[test]
fn task_that_always_finds_a_tokio_socket_ready_yields() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    let operations =
        runtime.spawn(async { operations_until_another_turn(FullSocket::new().await).await });
    let operations = runtime.block_on(operations).unwrap();
    assert!(operations <= TOKIO_BUDGET, "{operations}");
}

#[test]
fn task_that_always_finds_a_tokio_channel_ready_yields() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    for _ in 0..3 {
        let operations = runtime.spawn(operations_until_another_turn(FullChannel::new()));
        let operations = runtime.block_on(operations).unwrap();
        assert!(operations <= TOKIO_BUDGET, "{operations}");
    }
}

/// Failure: tokio leaves a thread without a budget behind `block_in_place`.
#[test]
fn task_yields_behind_work_that_blocks_in_place() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    let operations = runtime.spawn(async {
        let inner = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async { 6 * 7 })
        });
        assert_eq!(inner, 42);
        yield_now().await;
        operations_until_another_turn(FullChannel::new()).await
    });
    let operations = runtime.block_on(operations).unwrap();
    assert!(operations <= TOKIO_BUDGET, "{operations}");
}

/// Failure: what other polls had spent was missing, so that a future which is polled once, as by
/// `now_or_never`, found nothing.
#[test]
fn each_poll_begins_with_a_full_budget() {
    const ROUNDS: usize = 20;
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    async fn rounds() {
        let mut channel = FullChannel::new();
        for _ in 0..ROUNDS {
            for _ in 0..TOKIO_BUDGET / 2 {
                channel.operation().await;
            }
            yield_now().await;
        }
    }
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = {
        let polls = Arc::clone(&polls);
        async move {
            let mut rounds = pin!(rounds());
            poll_fn(|cx| {
                // Relaxed: read behind the task's end.
                polls.fetch_add(1, Ordering::Relaxed);
                rounds.as_mut().poll(cx)
            })
            .await;
        }
    };
    runtime.block_on(runtime.spawn(counted)).unwrap();
    assert_eq!(polls.load(Ordering::Relaxed), ROUNDS + 1);
}

/// `block_on` of heist bounds nothing itself, and must not spin when tokio's budget is spent.
#[test]
fn blocked_future_may_do_any_number_of_operations() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    runtime.block_on(async {
        let mut channel = FullChannel::new();
        for _ in 0..10 * TOKIO_BUDGET {
            channel.operation().await;
        }
    });
}

/// Failure: a worker blocked with all its tasks, instead of an error at the call.
#[test]
fn block_on_of_tokio_in_a_task_panics_as_in_tokio() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    let nested = runtime.spawn(async { tokio::runtime::Handle::current().block_on(async {}) });
    let text = message(runtime.block_on(nested).unwrap_err());
    assert!(text.contains("Cannot start a runtime from within a runtime"), "{text}");
    // The worker is inside tokio as before.
    let next = runtime.spawn(async { tokio::time::sleep(Duration::ZERO).await });
    runtime.block_on(next).unwrap();
}

#[test]
fn block_on_in_a_task_of_tokio_panics_as_in_tokio() {
    let tokio = tokio();
    let runtime = Arc::new(beside(&tokio, 1));
    let inside = Arc::clone(&runtime);
    let outcome = tokio.block_on(async move {
        tokio::spawn(async move {
            let panic = catch_unwind(AssertUnwindSafe(|| inside.block_on(async {}))).unwrap_err();
            *panic.downcast::<&'static str>().unwrap()
        })
        .await
        .unwrap()
    });
    assert!(outcome.contains("Cannot start a runtime from within a runtime"), "{outcome}");
    assert_eq!(runtime.handle().metrics().caught_panics, 0);
    // A task of tokio awaits one of heist.
    let joined = tokio.block_on(runtime.spawn(async { 1 })).unwrap();
    assert_eq!(joined, 1);
}

/// Spawns onto tokio when it is dropped, as pools of connections do.
struct SpawnsWhenDropped(mpsc::Sender<()>);

impl Drop for SpawnsWhenDropped {
    fn drop(&mut self) {
        let sender = self.0.clone();
        drop(tokio::spawn(async move { sender.send(()) }));
    }
}

#[test]
fn destructors_of_ended_tasks_find_tokio() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    let (sender, spawned) = mpsc::channel();
    let [aborted, _left] = [(); 2].map(|()| {
        let (begun, begins) = mpsc::channel();
        let held = SpawnsWhenDropped(sender.clone());
        let task = runtime.spawn(async move {
            begun.send(()).unwrap();
            pending::<()>().await;
            drop(held);
        });
        begins.recv_timeout(HANG).unwrap();
        task
    });
    aborted.abort();
    spawned.recv_timeout(HANG).unwrap();
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0));
    spawned.recv_timeout(HANG).unwrap();
}

/// The order of the documentation: heist, then tokio.
#[test]
fn heist_shuts_down_before_tokio_with_waits_in_both() {
    let tokio = tokio();
    let runtime = beside(&tokio, 2);
    let (begun, begins) = mpsc::channel();
    let of_heist = begun.clone();
    let waits = [
        runtime.spawn(async move {
            begun.send(()).unwrap();
            tokio::time::sleep(Duration::from_secs(86_400)).await;
        }),
        runtime.spawn(async move {
            of_heist.send(()).unwrap();
            time::sleep(Duration::from_secs(86_400)).await;
        }),
    ];
    for _ in &waits {
        begins.recv_timeout(HANG).unwrap();
    }
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_dropped, report.tasks_left, report.threads_left), (2, 0, 0));
    drop(tokio);
}

/// Failure: heist waited for a runtime that was gone.
#[test]
fn heist_goes_on_when_tokio_is_shut_down_first() {
    let tokio = tokio();
    let runtime = beside(&tokio, 1);
    let (begun, begins) = mpsc::channel();
    let of_timer = begun.clone();
    let socket = runtime.spawn(async move {
        let (mut near, _far) = tokio::net::UnixStream::pair().unwrap();
        begun.send(()).unwrap();
        near.read_u8().await.unwrap_err()
    });
    let timer = runtime.spawn(async move {
        of_timer.send(()).unwrap();
        tokio::time::sleep(Duration::from_secs(86_400)).await;
    });
    for _ in 0..2 {
        begins.recv_timeout(HANG).unwrap();
    }
    tokio.shutdown_timeout(HANG);
    let error = runtime.block_on(socket).unwrap();
    assert!(error.to_string().contains("being shutdown"), "{error}");
    let text = message(runtime.block_on(timer).unwrap_err());
    assert!(text.contains("being shutdown"), "{text}");

    let own = runtime.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move { listener.accept().await.map(drop) });
        TcpStream::connect(address).await.unwrap();
        accepting.await.unwrap().unwrap();
        time::sleep(Duration::from_millis(1)).await;
        spawn_blocking(|| 42).await.unwrap()
    });
    assert_eq!(runtime.block_on(own).unwrap(), 42);
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0));
}

/// Failure: tasks on the thread in `block_on` were outside of tokio, or kept that thread for ever.
#[test]
fn current_thread_runtime_is_beside_tokio_too() {
    let tokio = tokio();
    let runtime =
        Builder::new().current_thread().ignore_environment().beside_tokio(tokio.handle().clone());
    let runtime = runtime.start().unwrap();
    let operations = runtime.block_on(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let socket = spawn(async { operations_until_another_turn(FullSocket::new().await).await });
        let channel = spawn(operations_until_another_turn(FullChannel::new()));
        [socket.await.unwrap(), channel.await.unwrap()]
    });
    assert!(operations.into_iter().all(|count| count <= TOKIO_BUDGET), "{operations:?}");
    let nested = runtime.spawn(async { tokio::runtime::Handle::current().block_on(async {}) });
    let panic = runtime.block_on(nested).unwrap_err();
    assert!(message(panic).contains("Cannot start a runtime from within a runtime"));
    assert_eq!(runtime.shutdown(HANG).tasks_left, 0);
}

/// A current-thread runtime of tokio is driven by its own `block_on` only.
#[test]
fn current_thread_runtime_of_tokio_serves_while_it_is_driven() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime =
        Builder::new().workers(1).ignore_environment().beside_tokio(tokio.handle().clone());
    let runtime = runtime.start().unwrap();
    let task = runtime.spawn(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::spawn(async { 42 }).await.unwrap()
    });
    assert_eq!(tokio.block_on(task).unwrap(), 42);
}
