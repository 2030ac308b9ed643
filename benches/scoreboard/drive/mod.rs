//! How an entrant is made to give figures: one visit.

mod attacked;
mod beside;
mod idle;
mod instructions;
mod load;
mod own;
mod server;
mod syscalls;
mod wrk;

pub(crate) use attacked::{Attacked, Defence};
pub(crate) use beside::Beside;
pub(crate) use idle::Idle;
pub(crate) use instructions::Instructions;
pub(crate) use load::Load;
pub(crate) use own::Own;
pub(crate) use server::Server;
pub(crate) use syscalls::Syscalls;
pub(crate) use wrk::Wrk;
