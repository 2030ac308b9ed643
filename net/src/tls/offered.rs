//! What one server offers: a configuration, with the protocols of the server's service.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;

use super::config::Config;

/// A configuration, completed by what a server's service speaks.
#[derive(Debug)]
pub(super) struct Offered {
    config: Config,
    alpn: &'static [&'static [u8]],
    completed: RwLock<Option<Completed>>,
}

/// What was made of the files as they were read last.
#[derive(Debug)]
struct Completed {
    from: Arc<ServerConfig>,
    tls: Arc<ServerConfig>,
}

impl Offered {
    pub(super) fn new(config: Config) -> Offered {
        Offered { config, alpn: &[], completed: RwLock::new(None) }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Offers the protocols, unless the configuration says which to offer.
    pub(super) fn set_alpn(&mut self, alpn: &'static [&'static [u8]]) {
        if self.config.leaves_alpn() {
            self.alpn = alpn;
        }
    }

    /// What a new connection is given.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        let current = self.config.current();
        if self.alpn.is_empty() {
            return current;
        }
        if let Some(completed) = &*self.completed.read()
            && Arc::ptr_eq(&completed.from, &current)
        {
            return Arc::clone(&completed.tls);
        }
        let mut tls = ServerConfig::clone(&current);
        tls.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        let tls = Arc::new(tls);
        *self.completed.write() = Some(Completed { from: current, tls: Arc::clone(&tls) });
        tls
    }
}
