//! TLS on the public listeners: its options, and the certificates.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use heist::tls::{Certificate, Config, ConfigError};

use crate::addresses::Scheme;
use crate::reload::{Kind, Reloads};

/// The options that encrypt, and that choose the version of HTTP.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS and HTTP/2")]
pub(crate) struct TlsOptions {
    /// Speak TLS on the addresses of --listen, with the certificate in this PEM file, its issuers
    /// behind it; needs --tls-key. No TLS, none if not given. SIGHUP reads both files again
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, a PEM file; none if not given
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Where to speak HTTP/2 beside HTTP/1.1: under TLS, as clients ask for it there (ALPN); without
    /// a value also without TLS, with clients that begin with it (prior knowledge)
    #[arg(
        long,
        value_name = "WHERE",
        num_args = 0..=1,
        require_equals = true,
        default_value = "tls",
        default_missing_value = "all"
    )]
    pub(crate) http2: Http2,
}

/// Where HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Http2 {
    /// Nowhere.
    None,
    /// Under TLS.
    Tls,
    /// Under TLS and without.
    All,
}

impl TlsOptions {
    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls_cert.is_some() { Scheme::Https } else { Scheme::Http }
    }

    /// Reads the certificate; `None` without TLS.
    pub(crate) fn load(&self) -> Result<Option<Config>, ConfigError> {
        // The options need each other.
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let certificate = Certificate::files(certificate.clone(), key.clone());
        let protocols: &[&str] = match self.http2 {
            Http2::None => &["http/1.1", "http/1.0"],
            Http2::Tls | Http2::All => &["h2", "http/1.1", "http/1.0"],
        };
        let builder = Config::builder().certificate(certificate).alpn(protocols.iter().copied());
        builder.build().map(Some)
    }
}

/// Has the certificates of `config` read again with everything that is reloaded.
pub(crate) fn reload_with(reloads: &mut Reloads, config: &Config) {
    let reloader = config.reloader();
    let reload = move || reloader.reload().map_err(io::Error::other);
    reloads.add("certificates", Kind::Configuration, reload);
}
