//! One connection: requests in, replies out. A [`Protocol`], so it neither reads from a socket nor
//! writes to one.

use std::convert::Infallible;
use std::sync::Arc;

use heist::protocol::{Closed, Context, Error, Protocol};

use crate::commands::{self, Failure, Keys, Run, Transaction};
use crate::resp::{Args, LONG, LongRequest, Malformed, Reply, split};
use crate::shared::{Client, Shared};

pub(crate) struct Session {
    shared: Arc<Shared>,
    client: Arc<Client>,
    /// Replies in version 3 of the protocol, not 2.
    pub(crate) version_3: bool,
    pub(crate) transaction: Option<Transaction>,
    /// The keys that EXEC is to look at, with their versions.
    pub(crate) watched: Vec<(Vec<u8>, u64)>,
    /// A long request that has come in part.
    long: Option<Box<LongRequest>>,
}

impl Protocol for Session {
    type Message = Infallible;

    fn opened(&mut self, _: &mut Context<'_>) {
        self.shared.clients.insert(&self.client);
    }

    /// Called once for each request, however many came at once: the replies to a pipeline go out
    /// together.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let taken = match self.long.take() {
            Some(long) => self.take_long(long, input, cx),
            None => self.take_whole(input, cx),
        };
        taken.map_err(|malformed| {
            // Nobody knows where the next request would begin. An error closes the connection, once
            // this is sent.
            self.reply(cx).error(&malformed.to_string());
            malformed.into()
        })
    }

    fn closed(&mut self, _: &Closed) {
        self.shared.clients.remove(&self.client);
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>) -> Session {
        let (transaction, watched, long) = (None, Vec::new(), None);
        Session { shared, client, version_3: false, transaction, watched, long }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn reply<'a>(&self, cx: &'a mut Context<'_>) -> Reply<'a> {
        Reply::new(cx.output(), self.version_3)
    }

    /// Back to how it was when it was opened, but for its name.
    pub(crate) fn reset(&mut self) {
        *self = Session::new(Arc::clone(&self.shared), Arc::clone(&self.client));
    }

    fn take_whole(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Malformed> {
        let mut args = Args::new();
        match split(input, &mut args)? {
            0 if input.len() >= LONG => self.take_long(Box::default(), input, cx),
            length => {
                if length > 0 {
                    self.run(&args, cx);
                }
                Ok(length)
            }
        }
    }

    fn take_long(
        &mut self,
        mut long: Box<LongRequest>,
        input: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<usize, Malformed> {
        let taken = long.take(input)?;
        match long.is_complete() {
            true => self.run(&long.args().collect::<Args<'_>>(), cx),
            false => self.long = Some(long),
        }
        Ok(taken)
    }

    fn run(&mut self, args: &[&[u8]], cx: &mut Context<'_>) {
        if args.is_empty() {
            return;
        }
        self.client.count_command();
        if let Err(failure) = self.try_run(args, cx) {
            self.reply(cx).error(&failure.to_string());
        }
    }

    fn try_run(&mut self, args: &[&[u8]], cx: &mut Context<'_>) -> Result<(), Failure> {
        let found = commands::find(args[0]);
        let checked = found.and_then(|command| command.check_arity(args).map(|()| command));
        let command = match (checked, &mut self.transaction) {
            (Ok(command), _) => command,
            (Err(failure), None) => return Err(failure),
            (Err(failure), Some(transaction)) => {
                transaction.spoil();
                return Err(failure);
            }
        };
        match (command.run, &mut self.transaction) {
            (Run::Session(run), _) => run(self, args, cx),
            (Run::Data(_), Some(transaction)) => {
                transaction.push(command, args)?;
                self.reply(cx).simple("QUEUED");
                Ok(())
            }
            (Run::Data(run), None) => {
                let mut held = match command.keys {
                    Keys::All => self.shared.store.hold_all(cx.now()),
                    _ => self.shared.store.hold(cx.now(), command.keys_of(args)),
                };
                run(args, &mut held, &mut self.reply(cx))
            }
        }
    }
}
