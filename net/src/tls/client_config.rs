//! The settings of a client.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::certificate::Certificate;
use super::error::{ConfigError, Content};
use super::info::Version;
use super::source::Source;

/// The TLS of a client, ready for connections by a [`Connector`](super::Connector).
///
/// Clones share the sessions that can be resumed.
///
/// By [`builder`](ClientConfig::builder), or from a configuration of rustls:
///
/// ```
/// use std::sync::Arc;
///
/// use heist::tls::ClientConfig;
/// use rustls::{RootCertStore, crypto::ring};
///
/// let provider = Arc::new(ring::default_provider());
/// let config = rustls::ClientConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .with_root_certificates(RootCertStore::empty())
///     .with_no_client_auth();
/// let config = ClientConfig::from(Arc::new(config));
/// # drop(config);
/// # Ok::<(), rustls::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientConfig {
    tls: Arc<rustls::ClientConfig>,
}

/// Settings of a [`ClientConfig`]; made by [`ClientConfig::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read until `build`"]
pub struct ClientConfigBuilder {
    roots: Vec<Source>,
    certificate: Option<Certificate>,
    alpn: Vec<Vec<u8>>,
    oldest: Version,
}

impl ClientConfig {
    /// Settings without an authority that is trusted.
    pub fn builder() -> ClientConfigBuilder {
        ClientConfigBuilder {
            roots: Vec::new(),
            certificate: None,
            alpn: Vec::new(),
            oldest: Version::Tls12,
        }
    }

    /// The protocols that are offered (ALPN), the best one first.
    pub fn alpn(&self) -> &[Vec<u8>] {
        &self.tls.alpn_protocols
    }

    /// The same with other protocols to offer (ALPN), the best one first. Both share the sessions that
    /// can be resumed.
    pub fn with_alpn<P: Into<Vec<u8>>>(
        &self,
        protocols: impl IntoIterator<Item = P>,
    ) -> ClientConfig {
        let mut tls = rustls::ClientConfig::clone(&self.tls);
        tls.alpn_protocols = protocols.into_iter().map(Into::into).collect();
        ClientConfig { tls: Arc::new(tls) }
    }

    pub(super) fn tls(&self) -> &Arc<rustls::ClientConfig> {
        &self.tls
    }
}

impl From<Arc<rustls::ClientConfig>> for ClientConfig {
    fn from(tls: Arc<rustls::ClientConfig>) -> ClientConfig {
        ClientConfig { tls }
    }
}

impl ClientConfigBuilder {
    /// Adds authorities that are trusted to vouch for servers, as PEM: a file, or a [`Source`] in memory.
    pub fn roots(mut self, roots: impl Into<Source>) -> ClientConfigBuilder {
        self.roots.push(roots.into());
        self
    }

    /// Sets the certificate by which the client authenticates itself, if a server asks for one. By
    /// default there is none.
    pub fn certificate(mut self, certificate: Certificate) -> ClientConfigBuilder {
        self.certificate = Some(certificate);
        self
    }

    /// Sets the protocols that are offered (ALPN), the best one first. By default none:
    /// [`TlsInfo::alpn`](super::TlsInfo::alpn) has what the server chose.
    pub fn alpn<P: Into<Vec<u8>>>(
        mut self,
        protocols: impl IntoIterator<Item = P>,
    ) -> ClientConfigBuilder {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the oldest version that is spoken; by default TLS 1.2.
    pub fn oldest(mut self, version: Version) -> ClientConfigBuilder {
        self.oldest = version;
        self
    }

    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: no authority is trusted, or a file cannot be read or used.
    pub fn build(self) -> Result<ClientConfig, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let roots = self.load_roots()?;
        let certificate = self.load_certificate(&provider)?;
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.oldest.and_newer())
            .map_err(|error| ConfigError::Settings(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(certified) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.alpn_protocols = self.alpn;
        Ok(Arc::new(config).into())
    }

    fn load_roots(&self) -> Result<RootCertStore, ConfigError> {
        if self.roots.is_empty() {
            return Err(ConfigError::NoRoots);
        }
        let mut roots = RootCertStore::empty();
        for source in &self.roots {
            for root in source.read::<CertificateDer<'static>>(Content::Roots)? {
                roots.add(root).map_err(|error| source.unusable(Content::Roots, error))?;
            }
        }
        Ok(roots)
    }

    fn load_certificate(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Option<Arc<CertifiedKey>>, ConfigError> {
        let loaded = self.certificate.as_ref().map(|one| one.load(provider)).transpose()?;
        Ok(loaded.map(|loaded| loaded.key))
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig").field("alpn", &self.alpn()).finish_non_exhaustive()
    }
}
