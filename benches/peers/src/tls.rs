//! TLS as the contenders with rustls offer it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// `WORKERS ADDRESS CERTIFICATE KEY` from the command line: HTTP/2 and HTTP/1.1, and a ticket after
/// each handshake instead of a cache of sessions, as heist has it.
pub fn config() -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let [certificate, key] = files();
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = ["h2", "http/1.1"].map(|name| name.as_bytes().to_vec()).into();
    config.ticketer = ring::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

/// `CERTIFICATE KEY`, behind the [`arguments`](crate::arguments) that every server has.
pub fn files() -> [PathBuf; 2] {
    let mut arguments = std::env::args().skip(3);
    match (arguments.next(), arguments.next()) {
        (Some(certificate), Some(key)) => [certificate.into(), key.into()],
        _ => {
            eprintln!("usage: PROGRAM WORKERS ADDRESS CERTIFICATE KEY");
            std::process::exit(2)
        }
    }
}
