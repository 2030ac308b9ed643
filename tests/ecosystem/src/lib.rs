//! Services of other projects on heist's servers, unmodified. Only tests use this.

pub mod guide;
pub mod site;
