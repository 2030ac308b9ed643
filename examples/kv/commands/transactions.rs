//! MULTI, EXEC, WATCH: several commands as one.
//!
//! EXEC takes the locks of all keys that are named or watched, then looks whether a watched one has
//! changed, then runs. So what it saw is what it works on, and no other connection sees half of it.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist::protocol::Context;

use super::{Call, Command, Failure, Keys, Outcome, Run};
use crate::session::Session;
use crate::shared::{Charge, Shared};

/// A transaction, from MULTI to EXEC.
pub(crate) struct Transaction {
    /// `None` once a command was refused: EXEC will do nothing.
    queue: Option<Queue>,
}

struct Queue {
    commands: Vec<(&'static Command, Vec<Vec<u8>>)>,
    charge: Charge,
}

impl Transaction {
    pub(crate) fn push(&mut self, command: &'static Command, args: &[&[u8]]) -> Outcome {
        let Some(queue) = &mut self.queue else { return Ok(()) };
        let size: usize = args.iter().map(|arg| arg.len() + ARG_SIZE).sum();
        if queue.charge.grow(size + COMMAND_SIZE).is_err() {
            self.abort();
            return Err(OUT_OF_MEMORY);
        }
        queue.commands.push((command, args.iter().map(|arg| arg.to_vec()).collect()));
        Ok(())
    }

    pub(crate) fn abort(&mut self) {
        self.queue = None;
    }
}

/// The keys that a connection watches.
#[derive(Default)]
pub(crate) struct Watch {
    keys: HashSet<Vec<u8>>,
    /// One of the keys was changed. Exact under the locks of all of them.
    changed: Arc<AtomicBool>,
    charge: Option<Charge>,
}

impl Watch {
    fn is_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Watches nothing any more. Takes locks, so it is to be called without any.
    pub(crate) fn clear(&mut self, shared: &Shared) {
        let watch = mem::take(self);
        watch.keys.iter().for_each(|key| shared.store.unwatch(key, &watch.changed));
    }
}

pub(super) fn multi(session: &mut Session, _: &[&[u8]], cx: &mut Context<'_>) -> Outcome {
    if session.transaction.is_some() {
        return Err(Failure::new("ERR MULTI calls can not be nested"));
    }
    let queue = Queue { commands: Vec::new(), charge: Charge::new(&session.shared.requests) };
    session.transaction = Some(Transaction { queue: Some(queue) });
    session.reply(cx).ok();
    Ok(())
}

pub(super) fn exec(session: &mut Session, _: &[&[u8]], cx: &mut Context<'_>) -> Outcome {
    let transaction = session.transaction.take();
    let transaction = transaction.ok_or(Failure::new("ERR EXEC without MULTI"))?;
    // Taken out, so that a queued UNWATCH takes no lock.
    let mut watch = mem::take(&mut session.client.watch);
    let outcome = match &transaction.queue {
        Some(queue) => {
            run(queue, &watch, session, cx);
            Ok(())
        }
        None => Err(ABORTED),
    };
    watch.clear(&session.shared);
    outcome
}

fn run(queue: &Queue, watch: &Watch, session: &mut Session, cx: &mut Context<'_>) {
    let queue = queue.commands.iter();
    let args: Vec<Vec<&[u8]>> =
        queue.clone().map(|(_, args)| args.iter().map(Vec::as_slice).collect()).collect();
    let commands = || queue.clone().map(|(command, _)| *command).zip(&args);
    let mut held = match commands().any(|(command, _)| matches!(command.keys, Keys::All)) {
        true => session.shared.store.hold_all(cx.now()),
        false => {
            let keys = commands().flat_map(|(command, args)| command.keys_of(args));
            let watched = watch.keys.iter().map(Vec::as_slice);
            session.shared.store.hold(cx.now(), keys.chain(watched))
        }
    };
    // A look at a watched key that has expired removes it, which is a change.
    let _expired = watch.keys.iter().filter(|key| !held.at(key).exists()).count();
    let mut reply = session.reply(cx);
    if watch.is_changed() {
        return reply.null_array();
    }
    reply.array(args.len());
    let Some((first, _)) = commands().next() else { return };
    let (client, shared) = (&mut session.client, &*session.shared);
    let mut call = Call { command: first, args: &[], held, reply, client, shared };
    for (command, args) in commands() {
        let Run::Queued(run) = command.run else {
            unreachable!("only commands that are queued are in the queue")
        };
        (call.command, call.args) = (command, args);
        if let Err(failure) = run(&mut call) {
            call.reply.error(failure.text());
        }
    }
}

pub(super) fn discard(session: &mut Session, _: &[&[u8]], cx: &mut Context<'_>) -> Outcome {
    session.transaction.take().ok_or(Failure::new("ERR DISCARD without MULTI"))?;
    session.client.watch.clear(&session.shared);
    session.reply(cx).ok();
    Ok(())
}

pub(super) fn watch(session: &mut Session, args: &[&[u8]], cx: &mut Context<'_>) -> Outcome {
    if session.transaction.is_some() {
        return Err(Failure::new("ERR WATCH inside MULTI is not allowed"));
    }
    let watch = &mut session.client.watch;
    // Once a key was changed EXEC will do nothing, whatever else is watched.
    if !watch.is_changed() {
        let new = args[1..].iter().filter(|key| !watch.keys.contains(**key));
        let size = new.map(|key| 2 * key.len() + WATCH_SIZE).sum();
        let charge = watch.charge.get_or_insert_with(|| Charge::new(&session.shared.requests));
        charge.grow(size).map_err(|_| OUT_OF_MEMORY)?;
        let mut held = session.shared.store.hold(cx.now(), args[1..].iter().copied());
        for key in args[1..].iter().filter(|key| watch.keys.insert(key.to_vec())) {
            held.at(key).watch(&watch.changed);
        }
    }
    session.reply(cx).ok();
    Ok(())
}

/// In a transaction it does nothing: EXEC has ended the watch.
pub(super) fn unwatch(call: &mut Call<'_>) -> Outcome {
    call.client.watch.clear(call.shared);
    call.reply.ok();
    Ok(())
}

const ABORTED: Failure =
    Failure::new("EXECABORT Transaction discarded because of previous errors.");

const OUT_OF_MEMORY: Failure =
    Failure::new("OOM the requests of all clients take more memory than they may");

/// About the memory that a watched key takes beside its bytes.
const WATCH_SIZE: usize = 160;

/// About the memory that a queued command takes, and each of its arguments, beside its bytes.
const COMMAND_SIZE: usize = 80;
const ARG_SIZE: usize = 48;
