//! Certificates for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use heist_net::tls::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SignatureAlgorithm,
};

/// An authority, which issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

/// A certificate and its key, as DER.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Authority { issuer: Issuer::new(params, key), der }
    }

    /// Its own certificate, as DER.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its own certificate, as PEM.
    pub(crate) fn pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", &self.der)
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// A certificate for the names.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_of(names, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// A certificate for the names, with a key of a kind.
    pub(crate) fn issue_of(&self, names: &[&str], kind: &'static SignatureAlgorithm) -> Issued {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        self.issue_with(CertificateParams::new(names).unwrap(), kind)
    }

    pub(crate) fn issue_with(
        &self,
        mut params: CertificateParams,
        kind: &'static SignatureAlgorithm,
    ) -> Issued {
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate: certificate.der().to_vec(), key: key.serialize_der() }
    }
}

impl Issued {
    /// For a server, in memory.
    pub(crate) fn for_server(&self) -> Certificate {
        Certificate::der(vec![self.certificate.clone()], self.key.clone())
    }

    pub(crate) fn chain_pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(crate) fn key_pem(&self) -> Vec<u8> {
        pem("PRIVATE KEY", &self.key)
    }
}

/// A section of a PEM file.
pub(crate) fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let mut text = format!("-----BEGIN {label}-----\n");
    for group in der.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(*group.get(at).unwrap_or(&0)));
        let bits = a << 16 | b << 8 | c;
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = char::from(BASE64[(bits >> shift & 63) as usize]);
            text.push(if at <= group.len() { digit } else { '=' });
        }
        if text.len() % 65 > 60 {
            text.push('\n');
        }
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text.into_bytes()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A directory that is removed in the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("heist-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, by renaming.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&new, content).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all::<&Path>(&self.0);
    }
}
