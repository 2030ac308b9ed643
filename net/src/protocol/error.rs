//! The error of a protocol.

/// What a protocol found wrong with its input. Any error, and any text, turns into it by `?` and
/// `into()`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
