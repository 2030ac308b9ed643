//! The values that keys have.

use std::collections::VecDeque;

use ahash::RandomState;
use indexmap::{IndexMap, IndexSet};

use super::sorted::Sorted;

/// A key, or a member of a collection.
pub(crate) type Bytes = Box<[u8]>;
pub(crate) type Text = Vec<u8>;
pub(crate) type Hash = IndexMap<Bytes, Bytes, RandomState>;
pub(crate) type List = VecDeque<Bytes>;
pub(crate) type Set = IndexSet<Bytes, RandomState>;

pub(crate) enum Value {
    Text(Text),
    Hash(Box<Hash>),
    List(List),
    Set(Box<Set>),
    Sorted(Box<Sorted>),
}

impl Value {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::Text(_) => "string",
            Value::Hash(_) => "hash",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::Sorted(_) => "zset",
        }
    }
}

/// The key holds a value of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
pub(crate) struct WrongType;

/// A type of which values can be.
pub(crate) trait Kind: Sized {
    fn empty() -> Value;
    fn of(value: &Value) -> Result<&Self, WrongType>;
    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType>;
    fn length(&self) -> usize;
}

macro_rules! kind {
    ($type:ty, $variant:ident) => {
        impl Kind for $type {
            fn empty() -> Value {
                Value::$variant(Default::default())
            }

            fn of(value: &Value) -> Result<&Self, WrongType> {
                if let Value::$variant(value) = value { Ok(value) } else { Err(WrongType) }
            }

            fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType> {
                if let Value::$variant(value) = value { Ok(value) } else { Err(WrongType) }
            }

            fn length(&self) -> usize {
                self.len()
            }
        }
    };
}

kind!(Text, Text);
kind!(Hash, Hash);
kind!(List, List);
kind!(Set, Set);
kind!(Sorted, Sorted);
