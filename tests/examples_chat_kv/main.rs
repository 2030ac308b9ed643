//! The examples `kv` and `chat` as their users see them: the real programs, driven by other
//! people's.

mod chat;
mod chat_crowd;
mod chat_events;
mod chat_lines;
mod chat_share;
mod guest;
mod kv;
mod kv_differential;
mod kv_tools;
mod program;
mod resp;

// The share of a person in `chat` by itself: it takes no process and no time.
#[path = "../../examples/chat/share.rs"]
mod share;
