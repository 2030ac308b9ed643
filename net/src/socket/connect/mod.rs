//! Connecting by name: look-up, then one attempt after the other.

pub(crate) mod first;
pub(crate) mod happy_eyeballs;
pub(crate) mod resolve;
pub(crate) mod target;
