//! hyper-util's client, set up for heist.

use std::time::Duration;

use heist_net::{HyperExecutor, HyperTimer};
use hyper::body::Body;
use hyper_util::client::legacy::{Builder, Client};

use crate::connector::Connector;

/// A pooled client of HTTP/1.1 and HTTP/2, with the limits of [`client_builder`]. Clones share the pool.
///
/// Its requests have to be awaited in a runtime of heist.
pub fn client<B>(connector: Connector) -> Client<Connector, B>
where
    B: Body + Send,
    B::Data: Send,
{
    client_builder().build(connector)
}

/// The settings of hyper-util's client, with the executor and the timers of heist: at most 32 idle
/// connections to one host, each for at most 50 s. Many servers close an idle connection after 60 s: a
/// client that does so first never finds it closed.
///
/// ```
/// use std::time::Duration;
///
/// use heist_hyper_util::{Connector, client_builder};
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper_util::client::legacy::Client;
///
/// let client: Client<_, Empty<Bytes>> = client_builder()
///     .pool_idle_timeout(Duration::from_secs(20))
///     .pool_max_idle_per_host(4)
///     .build(Connector::new());
/// # drop(client);
/// ```
pub fn client_builder() -> Builder {
    let mut builder = Client::builder(HyperExecutor);
    builder
        .pool_timer(HyperTimer)
        .timer(HyperTimer)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    builder
}

const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

const IDLE_CONNECTIONS: usize = 32;
