//! The examples `kv` and `chat` as their users see them: the real programs, driven by other
//! people's.

mod kv;
mod kv_tools;
mod program;
mod resp;
