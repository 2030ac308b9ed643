//! Blocking work and look-ups: their bounds, and the places of aborted work.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use heist_scheduler::{Builder, Idle, JoinHandle, Runtime, TaskBuilder};

use common::{HANG, SetOnDrop};

/// One thread and a queue of two, for each of the two pools.
fn runtime() -> Runtime {
    let builder = Builder::new().workers(1).blocking_threads(1).blocking_queue(2);
    builder.lookup_threads(1).lookup_queue(2).start(Idle::new()).unwrap()
}

/// Occupies a pool's only thread until the sender is dropped.
fn occupy(
    spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> JoinHandle<()>,
) -> (JoinHandle<()>, mpsc::Sender<()>) {
    let (inside, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let job = spawn(Box::new(move || {
        inside.send(()).unwrap();
        let _ = released.recv_timeout(HANG);
    }));
    entered.recv_timeout(HANG).unwrap();
    (job, release)
}

fn blocking(runtime: &Runtime, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    runtime.handle().spawn_blocking(work)
}

fn lookup(runtime: &Runtime, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let _inside = runtime.handle().enter();
    TaskBuilder::new().name("lookup").spawn_lookup(work)
}

/// Failure: work that was aborted while it waited kept its place until a thread took it, so aborted
/// work filled the queue and all other work was refused.
#[test]
fn aborted_work_that_waits_frees_its_place_at_once() {
    let runtime = runtime();
    let (running, release) = occupy(|work| blocking(&runtime, work));
    for _ in 0..100 {
        let dropped = Arc::new(AtomicBool::new(false));
        let held = SetOnDrop(Arc::clone(&dropped));
        let by_handle = blocking(&runtime, move || drop(held));
        let by_abort_handle = blocking(&runtime, || panic!("it is aborted"));
        assert_eq!(runtime.handle().metrics().blocking_queue_depth, 2);
        assert!(by_abort_handle.abort_handle().abort());
        assert_eq!(runtime.handle().metrics().blocking_queue_depth, 1);
        by_handle.abort();
        assert!(dropped.load(Ordering::SeqCst), "its closure is dropped");
        assert_eq!(runtime.handle().metrics().blocking_queue_depth, 0);
        for aborted in [by_handle, by_abort_handle] {
            assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
        }
    }
    let queued = blocking(&runtime, || ());
    drop(release);
    runtime.block_on(running).unwrap();
    runtime.block_on(queued).unwrap();
    let metrics = runtime.handle().metrics();
    assert_eq!((metrics.blocking_refused, metrics.tasks_alive), (0, 0));
}

/// Failure: aborted work is dropped while the pool is locked, and its drop needs the pool.
#[test]
fn drop_of_aborted_work_may_use_the_pool() {
    struct Spawns(heist_scheduler::Handle, mpsc::Sender<JoinHandle<()>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.spawn_blocking(|| ()));
        }
    }
    let runtime = runtime();
    let (running, release) = occupy(|work| blocking(&runtime, work));
    let (spawned, handles) = mpsc::channel();
    let spawns = Spawns(runtime.handle().clone(), spawned);
    blocking(&runtime, move || drop(spawns)).abort();
    drop(release);
    runtime.block_on(running).unwrap();
    runtime.block_on(handles.recv_timeout(HANG).unwrap()).unwrap();
}

#[test]
fn work_that_runs_is_not_aborted() {
    let runtime = runtime();
    let (running, release) = occupy(|work| blocking(&runtime, work));
    running.abort();
    assert_eq!(runtime.handle().metrics().blocking_threads, 1);
    drop(release);
    runtime.block_on(running).unwrap();
}

/// Failure: look-ups of names ran on the threads of all blocking work and waited in its queue, so name
/// servers that do not answer had blocking work refused.
#[test]
fn lookups_and_other_blocking_work_take_no_places_of_each_other() {
    let runtime = runtime();
    type Spawn = fn(&Runtime, Box<dyn FnOnce() + Send>) -> JoinHandle<()>;
    let pools: [Spawn; 2] =
        [|runtime, work| blocking(runtime, work), |runtime, work| lookup(runtime, work)];
    for (full, other) in [(pools[0], pools[1]), (pools[1], pools[0])] {
        let (running, release) = occupy(|work| full(&runtime, work));
        let queued = [(); 2].map(|()| full(&runtime, Box::new(|| ())));
        let refused = runtime.block_on(full(&runtime, Box::new(|| ()))).unwrap_err();
        assert!(refused.is_refused());
        for _ in 0..3 {
            runtime.block_on(other(&runtime, Box::new(|| ()))).unwrap();
        }
        drop(release);
        runtime.block_on(running).unwrap();
        for queued in queued {
            runtime.block_on(queued).unwrap();
        }
    }
    let metrics = runtime.handle().metrics();
    assert_eq!((metrics.blocking_refused, metrics.lookup_refused), (1, 1));
    assert_eq!((metrics.blocking_threads, metrics.lookup_threads), (1, 1));
    assert_eq!((metrics.blocking_queue_depth, metrics.lookup_queue_depth), (0, 0));
    assert!(cfg!(not(feature = "metrics")) || metrics.lookup_wait.count() == 6);
}

/// Failure: work that was refused counted as spawned.
#[test]
fn refused_work_is_not_counted_as_spawned() {
    let runtime = runtime();
    let (running, release) = occupy(|work| blocking(&runtime, work));
    let queued = [(); 2].map(|()| blocking(&runtime, || ()));
    let spawned = runtime.handle().metrics().tasks_spawned;
    assert!(runtime.block_on(blocking(&runtime, || ())).unwrap_err().is_refused());
    assert_eq!(runtime.handle().metrics().tasks_spawned, spawned);
    drop(release);
    runtime.block_on(running).unwrap();
    queued.into_iter().for_each(|queued| runtime.block_on(queued).unwrap());
}
