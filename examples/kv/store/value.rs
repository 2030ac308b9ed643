//! What can be at a key.

use std::collections::VecDeque;

use indexmap::{IndexMap, IndexSet};

use super::sorted::Sorted;

/// A key, or a member of something.
pub(crate) type Bytes = Box<[u8]>;
pub(crate) type Hash = IndexMap<Bytes, Bytes>;
pub(crate) type List = VecDeque<Bytes>;
pub(crate) type Set = IndexSet<Bytes>;

pub(crate) enum Value {
    Text(Vec<u8>),
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

    pub(super) fn is_empty_collection(&self) -> bool {
        match self {
            Value::Text(_) => false,
            Value::Hash(hash) => hash.is_empty(),
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Sorted(sorted) => sorted.is_empty(),
        }
    }
}

/// The key holds something of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
pub(crate) struct WrongType;

/// A type of which values can be.
pub(crate) trait Kind: Sized {
    fn empty() -> Value;
    fn of(value: &Value) -> Result<&Self, WrongType>;
    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType>;
}

impl Kind for Vec<u8> {
    fn empty() -> Value {
        Value::Text(Vec::new())
    }

    fn of(value: &Value) -> Result<&Self, WrongType> {
        if let Value::Text(text) = value { Ok(text) } else { Err(WrongType) }
    }

    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType> {
        if let Value::Text(text) = value { Ok(text) } else { Err(WrongType) }
    }
}

impl Kind for Hash {
    fn empty() -> Value {
        Value::Hash(Box::default())
    }

    fn of(value: &Value) -> Result<&Self, WrongType> {
        if let Value::Hash(hash) = value { Ok(hash) } else { Err(WrongType) }
    }

    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType> {
        if let Value::Hash(hash) = value { Ok(hash) } else { Err(WrongType) }
    }
}

impl Kind for List {
    fn empty() -> Value {
        Value::List(List::new())
    }

    fn of(value: &Value) -> Result<&Self, WrongType> {
        if let Value::List(list) = value { Ok(list) } else { Err(WrongType) }
    }

    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType> {
        if let Value::List(list) = value { Ok(list) } else { Err(WrongType) }
    }
}

impl Kind for Set {
    fn empty() -> Value {
        Value::Set(Box::default())
    }

    fn of(value: &Value) -> Result<&Self, WrongType> {
        if let Value::Set(set) = value { Ok(set) } else { Err(WrongType) }
    }

    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType> {
        if let Value::Set(set) = value { Ok(set) } else { Err(WrongType) }
    }
}

impl Kind for Sorted {
    fn empty() -> Value {
        Value::Sorted(Box::default())
    }

    fn of(value: &Value) -> Result<&Self, WrongType> {
        if let Value::Sorted(sorted) = value { Ok(sorted) } else { Err(WrongType) }
    }

    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType> {
        if let Value::Sorted(sorted) = value { Ok(sorted) } else { Err(WrongType) }
    }
}
