//! Two services, each written for tokio (`*_tokio.rs`) and then ported to heist (`*_heist.rs`).
