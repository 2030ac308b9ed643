//! MULTI, EXEC, WATCH: several commands as one.
//!
//! EXEC takes the locks of all keys that are named or watched, then looks whether a watched one has
//! changed, then runs. So what it saw is what it works on, and nobody sees half of it.

use heist::protocol::Context;

use super::{Command, Failure, Keys, Run};
use crate::resp::Reply;
use crate::session::Session;
use crate::store::Held;

/// A transaction, from MULTI to EXEC.
#[derive(Default)]
pub(crate) struct Transaction {
    queue: Vec<(&'static Command, Vec<Vec<u8>>)>,
    /// Bytes in `queue`.
    size: usize,
    /// A command was refused: EXEC will do nothing.
    spoiled: bool,
}

impl Transaction {
    /// Puts a command into it, for EXEC.
    pub(crate) fn push(
        &mut self,
        command: &'static Command,
        args: &[&[u8]],
    ) -> Result<(), Failure> {
        self.size += args.iter().map(|arg| arg.len() + size_of::<Vec<u8>>()).sum::<usize>();
        if self.size > MAX_TRANSACTION {
            self.spoil();
            return Err(Failure::Other("ERR a transaction of more than 32 MiB"));
        }
        self.queue.push((command, args.iter().map(|arg| arg.to_vec()).collect()));
        Ok(())
    }

    /// A client that did not look at an error must not have half of its commands run.
    pub(crate) fn spoil(&mut self) {
        self.spoiled = true;
        self.queue = Vec::new();
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.queue.iter().flat_map(|(command, args)| {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            let keys: Vec<usize> = command.key_places(args.len()).collect();
            keys.into_iter().map(move |place| args[place])
        })
    }

    fn is_about_all(&self) -> bool {
        self.queue.iter().any(|(command, _)| matches!(command.keys, Keys::All))
    }

    fn run(&self, held: &mut Held<'_>, reply: &mut Reply<'_>) {
        reply.array(self.queue.len());
        for (command, args) in &self.queue {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            let Run::Data(run) = command.run else {
                unreachable!("commands of the connection are not put into a transaction")
            };
            if let Err(failure) = run(&args, held, reply) {
                reply.error(&failure.to_string());
            }
        }
    }
}

pub(crate) fn multi(
    session: &mut Session,
    _: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    if session.transaction.is_some() {
        return Err(Failure::Other("ERR MULTI calls can not be nested"));
    }
    session.transaction = Some(Transaction::default());
    session.reply(cx).ok();
    Ok(())
}

pub(crate) fn exec(
    session: &mut Session,
    _: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    let Some(transaction) = session.transaction.take() else {
        return Err(Failure::Other("ERR EXEC without MULTI"));
    };
    let watched = std::mem::take(&mut session.watched);
    if transaction.spoiled {
        return Err(Failure::Other("EXECABORT Transaction discarded because of previous errors."));
    }
    let shared = session.shared();
    let mut held = match transaction.is_about_all() {
        true => shared.store.hold_all(cx.now()),
        false => {
            let watched = watched.iter().map(|(key, _)| key.as_slice());
            shared.store.hold(cx.now(), transaction.keys().chain(watched))
        }
    };
    let mut reply = session.reply(cx);
    match watched.iter().all(|(key, version)| held.version(key) == *version) {
        true => transaction.run(&mut held, &mut reply),
        false => reply.null_array(),
    }
    Ok(())
}

pub(crate) fn discard(
    session: &mut Session,
    _: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    if session.transaction.take().is_none() {
        return Err(Failure::Other("ERR DISCARD without MULTI"));
    }
    session.watched.clear();
    session.reply(cx).ok();
    Ok(())
}

pub(crate) fn watch(
    session: &mut Session,
    args: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    if session.transaction.is_some() {
        return Err(Failure::Other("ERR WATCH inside MULTI is not allowed"));
    }
    if session.watched.len() + args.len() > MAX_WATCHED {
        return Err(Failure::Other("ERR more than 1024 keys watched"));
    }
    let shared = session.shared();
    let mut held = shared.store.hold(cx.now(), args[1..].iter().copied());
    for key in &args[1..] {
        session.watched.push((key.to_vec(), held.version(key)));
    }
    session.reply(cx).ok();
    Ok(())
}

pub(crate) fn unwatch(
    session: &mut Session,
    _: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    session.watched.clear();
    session.reply(cx).ok();
    Ok(())
}

/// The most bytes in the commands of a transaction.
const MAX_TRANSACTION: usize = 32 * 1024 * 1024;

const MAX_WATCHED: usize = 1024;
