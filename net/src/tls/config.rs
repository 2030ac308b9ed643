//! The settings of TLS, and what they have been made into.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use super::certificate::Certificate;
use super::client_auth::ClientAuth;
use super::error::ConfigError;
use super::info::Version;
use super::resolver::{NamePolicy, Resolver};
use super::tickets::Tickets;

/// The TLS of a server, ready for connections; see [`Builder::tls`](crate::server::Builder::tls).
///
/// Clones share the certificates, and a reload concerns them all.
#[derive(Clone)]
pub struct Config {
    inner: Arc<Inner>,
}

/// Settings of a [`Config`]; made by [`Config::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read until `build`"]
pub struct ConfigBuilder {
    certificates: Vec<Certificate>,
    /// `None`: what the service speaks.
    alpn: Option<Vec<Vec<u8>>>,
    missing_name: NamePolicy,
    unknown_name: NamePolicy,
    oldest: Version,
    tickets: Tickets,
    client_auth: ClientAuth,
}

struct Inner {
    settings: ConfigBuilder,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
    // Relaxed: nothing else is published with them.
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
}

/// What the files contained when they were read last.
struct Current {
    tls: Arc<ServerConfig>,
    /// When the first certificate ends, in seconds since 1970.
    expires: Option<u64>,
}

impl Config {
    /// Settings without a certificate.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder {
            certificates: Vec::new(),
            alpn: None,
            missing_name: NamePolicy::default(),
            unknown_name: NamePolicy::default(),
            oldest: Version::Tls12,
            tickets: Tickets::default(),
            client_auth: ClientAuth::default(),
        }
    }

    /// What a new connection is given.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.inner.current.read().tls)
    }

    /// Reads the files again; see [`Reloader::reload`](super::Reloader::reload).
    pub(super) fn reload(&self) -> Result<(), ConfigError> {
        self.inner.reload()
    }

    /// When the first certificate ends, in seconds since 1970.
    pub(super) fn expires(&self) -> Option<u64> {
        self.inner.current.read().expires
    }

    /// Whether what it speaks is left to the service.
    pub(super) fn leaves_alpn(&self) -> bool {
        self.inner.settings.alpn.is_none()
    }

    /// How many reloads there were: those that succeeded, and those that failed.
    pub(super) fn reloads(&self) -> (u64, u64) {
        let Inner { reloads, failed_reloads, .. } = &*self.inner;
        (reloads.load(Ordering::Relaxed), failed_reloads.load(Ordering::Relaxed))
    }
}

impl ConfigBuilder {
    /// Adds a certificate. The first one is given to clients that ask for no name, or for an unknown
    /// one. Of several, a client is given the one whose DNS names include the name that it asks for:
    /// literally, or else by a wildcard for the first label. For one name there may be several with keys
    /// of different kinds: the first that the client can verify is used.
    pub fn certificate(mut self, certificate: Certificate) -> ConfigBuilder {
        self.certificates.push(certificate);
        self
    }

    /// Sets the protocols that the server speaks (ALPN), the best one first. By default those of its
    /// service: HTTP says what it speaks, a handler or a protocol of your own says nothing.
    ///
    /// A client that offers protocols and none of these is refused by the alert
    /// `no_application_protocol`. One that offers none is served. An empty list ignores what clients
    /// offer.
    pub fn alpn<P: Into<Vec<u8>>>(
        mut self,
        protocols: impl IntoIterator<Item = P>,
    ) -> ConfigBuilder {
        self.alpn = Some(protocols.into_iter().map(Into::into).collect());
        self
    }

    /// Sets what is done with a client that asks for no name (no SNI). By default it is given the first
    /// certificate: probes, and clients that connect to an address, send none.
    pub fn missing_name(mut self, policy: NamePolicy) -> ConfigBuilder {
        self.missing_name = policy;
        self
    }

    /// Sets what is done with a client that asks for a name which no certificate is for. By default it
    /// is given the first certificate, and decides by itself: so a client that is told to ignore the name
    /// still works. Where the names of a server are to stay unknown, refuse.
    pub fn unknown_name(mut self, policy: NamePolicy) -> ConfigBuilder {
        self.unknown_name = policy;
        self
    }

    /// Sets the oldest version that is spoken; by default TLS 1.2.
    pub fn oldest(mut self, version: Version) -> ConfigBuilder {
        self.oldest = version;
        self
    }

    /// Sets how sessions are resumed.
    pub fn tickets(mut self, tickets: Tickets) -> ConfigBuilder {
        self.tickets = tickets;
        self
    }

    /// Sets whether clients authenticate themselves by certificates; by default they do not.
    pub fn client_auth(mut self, client_auth: ClientAuth) -> ConfigBuilder {
        self.client_auth = client_auth;
        self
    }

    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: there is no certificate, or a file cannot be read or used.
    pub fn build(self) -> Result<Config, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let loaded = self.load(&provider, self.tickets.ticketer()?)?;
        let inner = Inner {
            settings: self,
            provider,
            current: RwLock::new(loaded),
            reloads: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
        };
        Ok(Config { inner: Arc::new(inner) })
    }

    fn load(
        &self,
        provider: &Arc<CryptoProvider>,
        ticketer: Option<Arc<dyn ProducesTickets>>,
    ) -> Result<Current, ConfigError> {
        if self.certificates.is_empty() {
            return Err(ConfigError::NoCertificate);
        }
        let certificates = self.certificates.iter().map(|one| one.load(provider));
        let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
        let expires = certificates.iter().filter_map(|one| one.expires).min();
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(self.oldest.and_newer())
            .map_err(|error| ConfigError::Settings(error.to_string()))?
            .with_client_cert_verifier(self.client_auth.verifier(provider)?)
            .with_cert_resolver(Arc::new(Resolver::new(
                certificates,
                self.missing_name,
                self.unknown_name,
            )));
        config.alpn_protocols = self.alpn.clone().unwrap_or_default();
        // No state of a session stays in the server.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if let Some(ticketer) = ticketer {
            config.ticketer = ticketer;
            config.send_tls13_tickets = self.tickets.sent;
            config.max_tls13_tickets = self.tickets.most;
        }
        Ok(Current { tls: Arc::new(config), expires })
    }
}

impl Inner {
    fn reload(&self) -> Result<(), ConfigError> {
        let loaded = self.ticketer().and_then(|it| self.settings.load(&self.provider, it));
        match loaded {
            Ok(loaded) => {
                *self.current.write() = loaded;
                self.reloads.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.failed_reloads.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// What makes tickets from now on. A ticket vouches for the client certificate of its session, which
    /// the new authorities or revocation lists may refuse: then the old tickets end with the old files.
    fn ticketer(&self) -> Result<Option<Arc<dyn ProducesTickets>>, ConfigError> {
        let current = Arc::clone(&self.current.read().tls.ticketer);
        match current.enabled() && self.settings.client_auth.is_off() {
            true => Ok(Some(current)),
            false => self.settings.tickets.ticketer(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Config").field(&self.inner.settings).finish()
    }
}
