//! The commands: one table says of each its name, its arguments, which of them are keys, and the
//! function that runs it. A module for each kind of value.

mod connection;
mod expiry;
mod float;
mod glob;
mod hashes;
mod keys;
mod lists;
mod server;
mod sets;
mod sorted;
mod strings;
mod table;
mod transactions;

use std::borrow::Cow;

use heist::protocol::Context;

use crate::resp::Reply;
use crate::session::{ClientState, Session};
use crate::shared::Shared;
use crate::store::{Held, WrongType};

pub(crate) use table::find;
pub(crate) use transactions::{Transaction, Watch};

/// A row of the table.
pub(crate) struct Command {
    /// In lower case; `config|get` for a subcommand.
    pub(crate) name: &'static str,
    /// How many arguments, the name included; negative for at least so many.
    pub(crate) arity: i32,
    pub(crate) keys: Keys,
    pub(crate) run: Run,
    /// All arguments and options that the command takes: a part of the table, though no code needs
    /// it.
    _syntax: &'static str,
}

/// Which arguments are keys: what has to be locked.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    None,
    One,
    Two,
    /// Every `step`th argument from the first.
    Each {
        step: usize,
    },
    /// The command is about all keys there are.
    All,
}

#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Runs under the locks of its keys; between MULTI and EXEC it is queued. It returns a failure
    /// before it has replied or changed anything.
    Queued(fn(&mut Call<'_>) -> Outcome),
    /// Runs at once, with the connection.
    Immediate(fn(&mut Session, &[&[u8]], &mut Context<'_>) -> Outcome),
    /// The name of a command that has subcommands.
    Container,
}

pub(crate) type Outcome = Result<(), Failure>;

/// A command that runs.
pub(crate) struct Call<'a> {
    pub(crate) command: &'static Command,
    /// The name and the arguments.
    pub(crate) args: &'a [&'a [u8]],
    /// The shards of its keys.
    pub(crate) held: Held<'a>,
    pub(crate) reply: Reply<'a>,
    pub(crate) client: &'a mut ClientState,
    pub(crate) shared: &'a Shared,
}

/// Why a command did nothing: the text of the reply.
pub(crate) struct Failure(Cow<'static, [u8]>);

impl Failure {
    pub(crate) const SYNTAX: Failure = Failure::new("ERR syntax error");
    pub(crate) const NOT_INTEGER: Failure =
        Failure::new("ERR value is not an integer or out of range");
    pub(crate) const NO_SUCH_KEY: Failure = Failure::new("ERR no such key");
    pub(crate) const NOT_FLOAT: Failure = Failure::new("ERR value is not a valid float");

    pub(crate) const fn new(text: &'static str) -> Failure {
        Failure(Cow::Borrowed(text.as_bytes()))
    }

    /// A text with what the client sent in its middle. Like Redis, it ends at the first NUL.
    pub(crate) fn quoting(before: &str, sent: &[u8], after: &str) -> Failure {
        let sent = before_nul(sent);
        Failure(Cow::Owned([before.as_bytes(), sent, after.as_bytes()].concat()))
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }
}

impl From<WrongType> for Failure {
    fn from(wrong: WrongType) -> Failure {
        Failure(Cow::Owned(wrong.to_string().into_bytes()))
    }
}

impl Command {
    pub(crate) fn keys_of<'k>(
        &self,
        args: &'k [&'k [u8]],
    ) -> impl Iterator<Item = &'k [u8]> + use<'k> {
        let (last, step) = match self.keys {
            Keys::None | Keys::All => (0, 1),
            Keys::One => (1, 1),
            Keys::Two => (2, 1),
            Keys::Each { step } => (args.len(), step),
        };
        args.iter().take(last + 1).skip(1).step_by(step).copied()
    }

    fn check_arity(&self, args: &[&[u8]]) -> Outcome {
        let fits = match usize::try_from(self.arity) {
            Ok(arity) => args.len() == arity,
            Err(_) => args.len() >= self.arity.unsigned_abs() as usize,
        };
        if fits { Ok(()) } else { Err(self.wrong_arity()) }
    }

    pub(crate) fn wrong_arity(&self) -> Failure {
        Failure::quoting("ERR wrong number of arguments for '", self.name.as_bytes(), "' command")
    }
}

impl<'a> Call<'a> {
    pub(crate) fn key(&self) -> &'a [u8] {
        self.args[1]
    }

    /// The whole number at `place`.
    pub(crate) fn integer(&self, place: usize) -> Result<i64, Failure> {
        crate::resp::number(self.args[place]).ok_or(Failure::NOT_INTEGER)
    }

    /// A number of elements, at `place`.
    pub(crate) fn positive(&self, place: usize) -> Result<usize, Failure> {
        let count = self.integer(place).ok().and_then(|count| usize::try_from(count).ok());
        count.ok_or(Failure::new("ERR value is out of range, must be positive"))
    }

    /// Whether the argument at `place` is `word`, in any case.
    pub(crate) fn is(&self, place: usize, word: &str) -> bool {
        before_nul(self.args[place]).eq_ignore_ascii_case(word.as_bytes())
    }
}

/// The part of a sequence of `length` elements that `start` and `stop` name, the last included;
/// negative ones count from the end.
pub(crate) fn range(start: i64, stop: i64, length: usize) -> std::ops::Range<usize> {
    let length = length as i64;
    let from_front = |index: i64| if index < 0 { index + length } else { index };
    let start = from_front(start).clamp(0, length);
    let end = from_front(stop).saturating_add(1).clamp(start, length);
    start as usize..end as usize
}

/// Which of `names` are at the front of `words`, in any order and case, and how many words that is.
pub(crate) fn flags<const N: usize>(words: &[&[u8]], names: [&[u8]; N]) -> ([bool; N], usize) {
    let mut given = [false; N];
    let place =
        |word: &&[u8]| names.iter().position(|name| before_nul(word).eq_ignore_ascii_case(name));
    let count = words.iter().map_while(place).map(|place| given[place] = true).count();
    (given, count)
}

/// An option as Redis reads it, which ends where a string of C does.
pub(crate) fn before_nul(word: &[u8]) -> &[u8] {
    word.split(|byte| *byte == 0).next().unwrap_or_default()
}
