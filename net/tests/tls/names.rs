//! Which certificate a client is given.

use std::sync::Arc;

use heist_net::Server;
use heist_net::server::Limits;
use heist_net::tls::{Config, NamePolicy};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use rustls::version::TLS12;
use rustls::{AlertDescription, ClientConfig, RootCertStore, SignatureScheme};

use crate::authority::{Authority, Issued};
use crate::client::{Client, ClientOptions, address};
use crate::common::runtime;
use crate::stage::{echo, serve, until};

/// A server with certificates for some names.
struct Names {
    server: Server,
    authority: Authority,
    first: Issued,
    exact: Issued,
    wildcard: Issued,
    // Behind the server, which runs on it.
    _runtime: heist_net::Runtime,
}

fn names(missing: NamePolicy, unknown: NamePolicy) -> Names {
    let authority = Authority::new();
    let first = authority.issue(&["first.test", "127.0.0.1"]);
    let exact = authority.issue(&["exact.wild.test"]);
    let wildcard = authority.issue(&["*.wild.test"]);
    let config = Config::builder()
        .certificate(first.for_server())
        .certificate(wildcard.for_server())
        .certificate(exact.for_server())
        .missing_name(missing)
        .unknown_name(unknown)
        .build()
        .unwrap();
    let runtime = runtime();
    let server = serve(&runtime, config, Limits::default(), |stream| {
        assert!(stream.info().server_name.as_deref() != Some(""));
        echo(stream)
    });
    Names { server, authority, first, exact, wildcard, _runtime: runtime }
}

impl Names {
    /// The certificate that a client is given that asks for `name` and verifies nothing.
    fn given(&self, name: &str, sends_name: bool) -> Result<Vec<u8>, AlertDescription> {
        let config = without_verifier(sends_name);
        let mut client = Client::new(&self.server, &config, name);
        match client.handshake() {
            Ok(()) => Ok(client.tls.peer_certificates().unwrap()[0].to_vec()),
            Err(_) => Err(Client::new(&self.server, &config, name).refusal()),
        }
    }
}

#[test]
fn name_chooses_exactly_or_by_a_wildcard_of_one_label() {
    let names = names(NamePolicy::UseFirst, NamePolicy::UseFirst);
    for (name, expected) in [
        ("first.test", &names.first),
        ("exact.wild.test", &names.exact),
        ("EXACT.wild.test", &names.exact),
        ("any.wild.test", &names.wildcard),
        ("two.labels.wild.test", &names.first),
        ("wild.test", &names.first),
        ("unknown.test", &names.first),
    ] {
        assert!(names.given(name, true) == Ok(expected.certificate.clone()), "{name}");
    }
    assert!(names.given("exact.wild.test", false) == Ok(names.first.certificate.clone()));
    // And it verifies.
    let config = ClientOptions::default().config(&names.authority);
    Client::new(&names.server, &config, "any.wild.test").ask("hello");
    // An address is no name: rustls sends none.
    let ip = address(&names.server).ip().to_string();
    Client::new(&names.server, &config, &ip).ask("hello");
}

#[test]
fn unknown_name_is_refused_if_so_configured() {
    let names = names(NamePolicy::UseFirst, NamePolicy::Refuse);
    assert!(names.given("first.test", true).is_ok());
    assert!(names.given("any.wild.test", true).is_ok());
    assert!(names.given("exact.wild.test", false) == Ok(names.first.certificate.clone()));
    let refused = names.given("unknown.test", true);
    assert_eq!(refused, Err(AlertDescription::UnrecognisedName));
    let failed = || names.server.metrics().tls.unwrap().failed_for("unrecognized_name");
    until(|| failed() == 2);
}

#[test]
fn missing_name_is_refused_if_so_configured() {
    let names = names(NamePolicy::Refuse, NamePolicy::UseFirst);
    assert!(names.given("unknown.test", true) == Ok(names.first.certificate.clone()));
    let refused = names.given("first.test", false);
    assert_eq!(refused, Err(AlertDescription::UnrecognisedName));
}

#[test]
fn client_is_given_a_certificate_that_it_can_verify() {
    let authority = Authority::new();
    let curve = authority.issue_of(&["localhost"], &rcgen::PKCS_ECDSA_P256_SHA256);
    let edwards = authority.issue_of(&["localhost"], &rcgen::PKCS_ED25519);
    let config = Config::builder()
        .certificate(edwards.for_server())
        .certificate(curve.for_server())
        .build()
        .unwrap();
    let runtime = runtime();
    let server = serve(&runtime, config, Limits::default(), echo);

    // A client that knows ECDSA alone, and one that knows both.
    let mut provider = rustls::crypto::ring::default_provider();
    let both = provider.clone();
    provider.signature_verification_algorithms.mapping = ECDSA;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
    for (provider, expected) in [(provider, &curve), (both, &edwards)] {
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let mut client = Client::new(&server, &Arc::new(config), "localhost");
        client.ask("hello");
        assert!(client.tls.peer_certificates().unwrap()[0].as_ref() == expected.certificate);
    }
    // Also with TLS 1.2.
    let options = ClientOptions { versions: vec![&TLS12], ..ClientOptions::default() };
    Client::new(&server, &options.config(&authority), "localhost").ask("hello");
}

const ECDSA: &[(SignatureScheme, &[&dyn SignatureVerificationAlgorithm])] =
    &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[webpki::ring::ECDSA_P256_SHA256])];

/// A client that takes any certificate.
fn without_verifier(sends_name: bool) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(any::Any(provider)))
        .with_no_client_auth();
    config.enable_sni = sends_name;
    Arc::new(config)
}

mod any {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    /// Verifies nothing: the test looks at the certificate.
    #[derive(Debug)]
    pub(super) struct Any(pub(super) Arc<CryptoProvider>);

    impl ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
