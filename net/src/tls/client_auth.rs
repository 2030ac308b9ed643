//! Certificates of clients.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::error::{ConfigError, Content};
use super::source::Source;

/// Whether clients authenticate themselves by a certificate.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    Off,
    /// They are asked for one. A handshake without one succeeds, one with an invalid one fails.
    Optional(ClientRoots),
    /// A handshake without a valid one fails.
    Required(ClientRoots),
}

/// Who issues the certificates of clients.
#[derive(Clone, Debug)]
pub struct ClientRoots {
    roots: Source,
    revocation_lists: Vec<Source>,
}

impl ClientRoots {
    /// The certificates of the authorities, as PEM.
    pub fn new(roots: impl Into<Source>) -> ClientRoots {
        ClientRoots { roots: roots.into(), revocation_lists: Vec::new() }
    }

    /// Adds lists of revoked certificates (CRL), as PEM. As soon as there is one, each authority needs
    /// one, and a certificate of an authority without is refused.
    pub fn revocation_list(mut self, list: impl Into<Source>) -> ClientRoots {
        self.revocation_lists.push(list.into());
        self
    }

    fn load(&self) -> Result<(RootCertStore, Lists), ConfigError> {
        let mut roots = RootCertStore::empty();
        for root in self.roots.read::<CertificateDer<'static>>(Content::Roots)? {
            roots.add(root).map_err(|error| self.roots.unusable(Content::Roots, error))?;
        }
        let mut lists = Vec::new();
        for source in &self.revocation_lists {
            lists.extend(source.read(Content::RevocationList)?);
        }
        Ok((roots, lists))
    }
}

type Lists = Vec<CertificateRevocationListDer<'static>>;

impl ClientAuth {
    pub(super) fn is_off(&self) -> bool {
        matches!(self, ClientAuth::Off)
    }

    /// Reads what it needs.
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
        let (authorities, is_optional) = match self {
            ClientAuth::Off => return Ok(WebPkiClientVerifier::no_client_auth()),
            ClientAuth::Optional(authorities) => (authorities, true),
            ClientAuth::Required(authorities) => (authorities, false),
        };
        let (roots, lists) = authorities.load()?;
        let builder =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
                .with_crls(lists);
        let builder = if is_optional { builder.allow_unauthenticated() } else { builder };
        builder.build().map_err(|error| authorities.roots.unusable(Content::Roots, error))
    }
}
