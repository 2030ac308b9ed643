//! Certificates of a test authority, in files.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::child::Program;

/// A directory with a certificate for this machine, its key, and the authority's certificate.
/// Dropping it removes the directory.
pub(crate) struct Certificates {
    directory: PathBuf,
    authority: Issuer<'static, KeyPair>,
    client: Arc<ClientConfig>,
}

impl Certificates {
    /// Makes an authority, and a certificate with the serial number 1.
    pub(crate) fn new() -> Certificates {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        // Relaxed: the number is all that is shared. Two test runs may overlap.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let directory = format!("certificates-{}-{number}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(directory);
        fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test authority of heist");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(directory.join("authority.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (authority, client) = (Issuer::new(params, key), Arc::new(client));
        let certificates = Certificates { directory, authority, client };
        certificates.issue(1);
        certificates
    }

    /// Replaces the certificate and its key by new ones with this serial number.
    pub(crate) fn issue(&self, serial: u64) {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.serial_number = Some(SerialNumber::from(serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write("certificate.pem", &pem("CERTIFICATE", certificate.der()));
        self.write("key.pem", &pem("PRIVATE KEY", &key.serialize_der()));
    }

    /// Writes a file of the directory in one step, as tools that renew certificates do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let written = self.path("written");
        fs::write(&written, text).unwrap();
        fs::rename(&written, self.path(name)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().expect("the path is UTF-8").to_owned()
    }

    /// The file of the authority's certificate, which clients trust.
    pub(crate) fn authority(&self) -> String {
        self.path("authority.pem")
    }

    /// The options with which the program serves with them.
    pub(crate) fn options(&self) -> [String; 4] {
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| self.path(name));
        ["--tls-cert".to_owned(), certificate, "--tls-key".to_owned(), key]
    }

    /// Starts the program with them and with `options`.
    pub(crate) fn start(&self, options: &[&str]) -> Program {
        let tls = self.options();
        let all = tls.iter().map(String::as_str).chain(options.iter().copied());
        // The address of the name in the certificate.
        Program::start_at("127.0.0.1:0", &all.collect::<Vec<_>>())
    }

    /// Connects, as a client that trusts the authority.
    pub(crate) fn connect(&self, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let name = "localhost".try_into().unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(&self.client), name).unwrap(), stream)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
    let lines: Vec<_> = lines.collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
