//! The commands: a table that says of each what it is called, how many arguments it takes, which of
//! them are keys, and who runs it. A module for each kind of value.

mod connection;
mod hashes;
mod info;
mod keys;
mod lists;
mod number;
mod scan;
mod sets;
mod sorted;
mod strings;
mod table;
mod transactions;

use heist::protocol::Context;

use crate::resp::Reply;
use crate::session::Session;
use crate::store::{Held, WrongType};

pub(crate) use table::find;
pub(crate) use transactions::Transaction;

/// A line of the table.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// How many arguments, the name included; negative for at least so many.
    pub(crate) arity: i32,
    pub(crate) keys: Keys,
    pub(crate) run: Run,
}

/// Which arguments are keys: what has to be locked.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    None,
    /// Every `step`th argument from the first of them to the last; −1 is the last of all.
    At {
        first: usize,
        last: i32,
        step: usize,
    },
    /// The command is about all keys there are.
    All,
}

/// Who runs a command.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// It uses the data. An error is to be returned before anything is replied.
    Data(DataRun),
    /// It uses the connection, and is never put into a transaction.
    Session(SessionRun),
}

pub(crate) type DataRun = fn(&[&[u8]], &mut Held<'_>, &mut Reply<'_>) -> Result<(), Failure>;

pub(crate) type SessionRun = fn(&mut Session, &[&[u8]], &mut Context<'_>) -> Result<(), Failure>;

/// Why a command did nothing. The text is what the client is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    WrongType(#[from] WrongType),
    #[error("ERR syntax error")]
    Syntax,
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    #[error("ERR value is not a valid float")]
    NotFloat,
    #[error("ERR hash value is not an integer")]
    HashNotInteger,
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    #[error("ERR increment would produce NaN or Infinity")]
    NotFinite,
    #[error("ERR invalid expire time in '{0}' command")]
    ExpireTime(&'static str),
    #[error("ERR no such key")]
    NoSuchKey,
    #[error("ERR index out of range")]
    IndexOutOfRange,
    #[error("ERR string exceeds maximum allowed size (8 MiB)")]
    TooLong,
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(String),
    #[error("ERR unknown command '{0}'")]
    Unknown(String),
    #[error("ERR unknown subcommand '{0}'")]
    UnknownSub(String),
    #[error("NOPROTO unsupported protocol version")]
    Version,
    #[error("{0}")]
    Other(&'static str),
}

impl Command {
    /// The keys among `args`.
    pub(crate) fn keys_of<'k>(
        &self,
        args: &'k [&'k [u8]],
    ) -> impl Iterator<Item = &'k [u8]> + use<'k> {
        self.key_places(args.len()).filter_map(|place| args.get(place).copied())
    }

    /// Which of so many arguments are keys.
    pub(crate) fn key_places(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let (first, last, step) = match self.keys {
            Keys::At { first, last: -1, step } => (first, count - 1, step),
            Keys::At { first, last, step } => (first, last as usize, step),
            // Not a range: nothing.
            Keys::None | Keys::All => (1, 0, 1),
        };
        (first..=last).step_by(step)
    }

    pub(crate) fn check_arity(&self, args: &[&[u8]]) -> Result<(), Failure> {
        let count = args.len();
        let fits = match usize::try_from(self.arity) {
            Ok(arity) => count == arity,
            Err(_) => count >= self.arity.unsigned_abs() as usize,
        };
        if fits { Ok(()) } else { Err(Failure::Arity(self.name.to_owned())) }
    }
}

/// Something a client sent, to be put into a message: short, and of one line.
pub(crate) fn quote(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(64)].escape_ascii().to_string()
}
