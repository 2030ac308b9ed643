//! What can be wrong with a configuration.

use std::io;

use super::source::Source;

/// What is wrong with a [`Config`](super::Config) or a [`ClientConfig`](super::ClientConfig). The message names the file, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no certificate at all.
    #[error("TLS needs a certificate; add one by `certificate`")]
    NoCertificate,
    /// A client has no authority that it trusts.
    #[error(
        "a TLS client needs the certificates of the authorities that it trusts; add them by `roots`, \
         for example the system's: /etc/ssl/certs/ca-certificates.crt"
    )]
    NoRoots,
    /// A file cannot be read.
    #[error("cannot read the {content} {origin}: {source}; check its path and permissions")]
    Read {
        /// What the file should contain.
        content: Content,
        /// The file.
        origin: Source,
        /// Why not.
        source: io::Error,
    },
    /// A file is not PEM.
    #[error("the {content} {origin} is not valid PEM: {reason}")]
    Pem {
        /// What the file should contain.
        content: Content,
        /// The file.
        origin: Source,
        /// Why not.
        reason: String,
    },
    /// A file has no section of the kind that it should contain.
    #[error("the {content} {origin} contains no `{}` section", content.section())]
    Missing {
        /// What the file should contain.
        content: Content,
        /// The file.
        origin: Source,
    },
    /// What a file contains cannot be used.
    #[error("the {content} {origin} cannot be used: {reason}")]
    Unusable {
        /// What the file contains.
        content: Content,
        /// The file.
        origin: Source,
        /// Why not.
        reason: String,
    },
    /// A key does not belong to its certificate.
    #[error(
        "the private key {key} does not belong to the first certificate of {chain}; \
         the certificate of the key has to come first, and its issuers behind it"
    )]
    KeyMismatch {
        /// The certificates.
        chain: Source,
        /// The key.
        key: Source,
    },
    /// rustls refuses the whole.
    #[error("the TLS settings do not fit together: {0}")]
    Settings(String),
}

/// What a [`Source`] contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A certificate, and its issuers.
    Chain,
    /// A private key.
    Key,
    /// The certificates of the authorities that issue the peers' certificates.
    Roots,
    /// A list of revoked certificates.
    RevocationList,
}

impl Content {
    fn section(self) -> &'static str {
        match self {
            Content::Chain | Content::Roots => "BEGIN CERTIFICATE",
            Content::Key => "BEGIN PRIVATE KEY",
            Content::RevocationList => "BEGIN X509 CRL",
        }
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Content::Chain => "certificate chain",
            Content::Key => "private key",
            Content::Roots => "authorities",
            Content::RevocationList => "revocation list",
        })
    }
}
