//! Services of other projects on heist's servers, unmodified. Only tests use this.

pub mod guide;
pub mod nats;
pub mod postgres;
pub mod redis;
pub mod server_process;
pub mod site;
