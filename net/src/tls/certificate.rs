//! A certificate of a server, with its key.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::error::{ConfigError, Content};
use super::expiry;
use super::source::Source;

/// A certificate of a server, with its issuers and its private key.
///
/// ```
/// use heist::tls::Certificate;
///
/// let certificate = Certificate::files("/etc/tls/server.pem", "/etc/tls/server.key");
/// ```
#[derive(Clone, Debug)]
pub struct Certificate {
    chain: Source,
    key: Source,
}

impl Certificate {
    /// PEM files: the certificate with its issuers behind it, and its private key (PKCS#8, PKCS#1 or
    /// SEC 1, not encrypted). Both may be the same file.
    pub fn files(chain: impl Into<Source>, key: impl Into<Source>) -> Certificate {
        Certificate { chain: chain.into(), key: key.into() }
    }

    /// As [`files`](Certificate::files), in memory. A reload keeps it.
    pub fn pem(chain: &[u8], key: &[u8]) -> Certificate {
        Certificate { chain: Source::Pem(chain.into()), key: Source::Pem(key.into()) }
    }

    /// DER in memory: the certificate with its issuers behind it, and its private key. A reload keeps
    /// it.
    pub fn der(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Certificate {
        Certificate { chain: Source::Der(chain.into()), key: Source::Der([key].into()) }
    }

    /// Reads it.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Loaded, ConfigError> {
        let chain: Vec<CertificateDer<'static>> = self.chain.read(Content::Chain)?;
        let names = self.names(&chain)?;
        let expires = expiry::not_after(&chain[0]);
        let mut keys: Vec<PrivateKeyDer<'static>> = self.key.read(Content::Key)?;
        let certified = CertifiedKey::from_der(chain, keys.swap_remove(0), provider);
        let certified = certified.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                ConfigError::KeyMismatch { chain: self.chain.clone(), key: self.key.clone() }
            }
            error => self.key.unusable(Content::Key, error),
        })?;
        Ok(Loaded { key: Arc::new(certified), names, expires })
    }

    /// The DNS names of the first certificate.
    fn names(&self, chain: &[CertificateDer<'static>]) -> Result<Vec<String>, ConfigError> {
        let first = webpki::EndEntityCert::try_from(&chain[0])
            .map_err(|error| self.chain.unusable(Content::Chain, error))?;
        Ok(first.valid_dns_names().map(str::to_ascii_lowercase).collect())
    }
}

/// A certificate that was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) key: Arc<CertifiedKey>,
    /// In lower case; a wildcard begins with `*.`.
    pub(super) names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(super) expires: Option<u64>,
}
