//! QUIC on heist, by [quinn].
//!
//! [`HeistRuntime`] is quinn's [`Runtime`](quinn::Runtime): its tasks are tasks of heist, its timers are
//! heist's, and its UDP sockets are registered with the event queue of the runtime. Nothing of tokio's
//! runtime is needed. An endpoint is made inside of a runtime of heist:
//!
//! ```
//! use std::net::UdpSocket;
//! use std::sync::Arc;
//!
//! use heist_quinn::HeistRuntime;
//! use quinn::{Endpoint, EndpointConfig};
//!
//! let runtime = heist::Runtime::new()?;
//! runtime.block_on(async {
//!     let socket = UdpSocket::bind("127.0.0.1:0")?;
//!     let config = EndpointConfig::default();
//!     let endpoint = Endpoint::new(config, None, socket, Arc::new(HeistRuntime))?;
//!     endpoint.close(0_u32.into(), b"done");
//!     endpoint.wait_idle().await;
//!     Ok::<(), std::io::Error>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The limits of a [`Server`](heist_net::Server) do not apply: quinn has its own, in
//! `TransportConfig` and `ServerConfig`. A manual clock drives the timers of heist, and not quinn's time
//! stamps: leave tests of QUIC on the system's clock.

#![forbid(unsafe_code)]

mod runtime;
mod socket;

pub use runtime::HeistRuntime;
