//! TLS on the public listeners: its options, and the certificates.

use std::io;
use std::path::PathBuf;

use clap::Args;
use heist::tls::{Certificate, Config, ConfigError};

use crate::addresses::Scheme;
use crate::reload::{Kind, Reloads};

/// The options of TLS.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Speak TLS on the addresses of --listen, with the certificate in this PEM file, its issuers
    /// behind it; needs --tls-key. No TLS, none if not given. SIGHUP reads both files again
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, a PEM file; none if not given
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
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
        let builder = Config::builder().certificate(certificate).alpn(["http/1.1", "http/1.0"]);
        builder.build().map(Some)
    }
}

/// Has the certificates of `config` read again with everything that is reloaded.
pub(crate) fn reload_with(reloads: &mut Reloads, config: &Config) {
    let reloader = config.reloader();
    let reload = move || reloader.reload().map_err(io::Error::other);
    reloads.add("certificates", Kind::Configuration, reload);
}
