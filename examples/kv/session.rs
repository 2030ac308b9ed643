//! One connection: requests in, replies out. A [`Protocol`], so it neither reads from a socket nor
//! writes to one.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use heist::protocol::{CloseReason, Context, Error, Protocol};
use heist::server::Peer;

use crate::commands::{self, Call, Failure, Keys, Outcome, Run, Transaction, Watch};
use crate::resp::{Args, LONG, LongRequest, Malformed, Reply, Words, inline, split};
use crate::shared::{Charge, Shared};

pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: ClientState,
    pub(crate) transaction: Option<Transaction>,
    /// A long request that has come in part.
    long: Option<Box<LongRequest>>,
}

/// What commands see of their connection.
pub(crate) struct ClientState {
    pub(crate) id: i64,
    pub(crate) peer: Peer,
    pub(crate) name: String,
    /// Replies in version 3 of the protocol, not 2.
    pub(crate) version_3: bool,
    pub(crate) watch: Watch,
}

impl Protocol for Session {
    type Message = Infallible;

    /// Called once for each request, however many came at once: the replies to a pipeline go out
    /// together.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let taken = match self.long.take() {
            Some(long) => self.take_long(long, input, cx),
            None => self.take_whole(input, cx),
        };
        taken.map_err(|malformed| {
            // Where the next request begins is unknown. An error closes the connection, once this
            // is sent.
            self.reply(cx).error(&malformed.text());
            malformed.into()
        })
    }

    fn closed(&mut self, _: &CloseReason) {
        self.client.watch.clear(&self.shared);
        self.shared.client_closed();
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, peer: Peer) -> Session {
        let (id, watch) = (shared.client_opened(), Watch::default());
        let client = ClientState { id, peer, name: String::new(), version_3: false, watch };
        Session { shared, client, transaction: None, long: None }
    }

    pub(crate) fn reply<'a>(&self, cx: &'a mut Context<'_>) -> Reply<'a> {
        Reply::new(cx.output(), self.client.version_3)
    }

    fn take_whole(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Malformed> {
        if input[0] != b'*' {
            let mut words = Words::new();
            let length = inline(input, &mut words)?;
            self.run(&words.iter().map(Cow::as_ref).collect::<Args<'_>>(), cx);
            return Ok(length);
        }
        let mut args = Args::new();
        match split(input, &mut args)? {
            0 if input.len() >= LONG => {
                let charge = Charge::new(&self.shared.requests);
                self.take_long(Box::new(LongRequest::new(charge)), input, cx)
            }
            0 => Ok(0),
            length => {
                self.run(&args, cx);
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
            true => self.run(&long.args(), cx),
            false => self.long = Some(long),
        }
        Ok(taken)
    }

    fn run(&mut self, args: &[&[u8]], cx: &mut Context<'_>) {
        if args.is_empty() {
            return;
        }
        if args[0].eq_ignore_ascii_case(b"post") || args[0].eq_ignore_ascii_case(b"host:") {
            // A browser that was tricked into sending requests here.
            return cx.abort();
        }
        if let Err(failure) = self.dispatch(args, cx) {
            self.reply(cx).error(failure.text());
        }
    }

    fn dispatch(&mut self, args: &[&[u8]], cx: &mut Context<'_>) -> Outcome {
        let command = commands::find(args).map_err(|failure| self.refuse(args, failure))?;
        let run = match (command.run, &mut self.transaction) {
            (Run::Immediate(run), _) => return run(self, args, cx),
            (Run::Queued(_), Some(transaction)) => {
                transaction.push(command, args)?;
                self.reply(cx).simple("QUEUED");
                return Ok(());
            }
            (Run::Queued(run), None) => run,
            (Run::Container, _) => unreachable!("a container is found with too few arguments only"),
        };
        let held = match command.keys {
            Keys::All => self.shared.store.hold_all(cx.now()),
            _ => self.shared.store.hold(cx.now(), command.keys_of(args)),
        };
        let reply = Reply::new(cx.output(), self.client.version_3);
        let (client, shared) = (&mut self.client, &*self.shared);
        run(&mut Call { command, args, held, reply, client, shared })
    }

    /// A client that overlooks an error must not have half of its transaction run.
    fn refuse(&mut self, args: &[&[u8]], failure: Failure) -> Failure {
        if args[0].eq_ignore_ascii_case(b"exec") {
            self.transaction = None;
            self.client.watch.clear(&self.shared);
            let reason = failure.text().strip_prefix(b"ERR ").unwrap_or_default();
            return Failure::quoting("EXECABORT Transaction discarded because of: ", reason, "");
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.abort();
        }
        failure
    }
}
