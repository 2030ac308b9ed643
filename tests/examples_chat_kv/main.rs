//! The examples `kv` and `chat` as their users see them: the real programs, driven by other
//! people's.

mod chat;
mod chat_crowd;
mod chat_events;
mod guest;
mod kv;
mod kv_differential;
mod kv_tools;
mod program;
mod resp;
