//! Clients that authenticate themselves by certificates.

use heist_net::Transport;
use heist_net::server::Limits;
use heist_net::tls::{ClientAuth, ClientRoots, Source};
use rcgen::{CertificateParams, CertificateRevocationListParams, KeyIdMethod, RevokedCertParams};
use rustls::AlertDescription;
use rustls::version::{TLS12, TLS13};

use crate::authority::{Authority, Issued, pem};
use crate::client::{Client, ClientOptions};
use crate::stage::{Stage, until};

/// Sends how many certificates the client has.
fn stage(client_auth: ClientAuth) -> Stage {
    Stage::with(
        move |config| config.client_auth(client_auth),
        Limits::default(),
        |mut stream| async move {
            let certificates = &stream.info().peer_certificates;
            let answer = format!("{:>3}", certificates.first().map_or(0, Vec::len));
            stream.write_all(answer.as_bytes()).await?;
            stream.finish().await
        },
    )
}

fn roots(authority: &Authority) -> ClientRoots {
    ClientRoots::new(Source::Pem(authority.pem().into()))
}

/// What the server answers to a client with `certificate`, for each version.
fn answers(stage: &Stage, certificate: Option<&Issued>) -> Vec<Result<usize, AlertDescription>> {
    let answer = |version| {
        let certificate = certificate.cloned();
        let options =
            ClientOptions { certificate, versions: vec![version], ..ClientOptions::default() };
        let config = options.config(&stage.authority);
        let mut answer = String::new();
        let mut client = Client::new(&stage.server, &config, "localhost");
        match std::io::Read::read_to_string(&mut client, &mut answer) {
            Ok(_) => Ok(answer.trim().parse().unwrap()),
            Err(_) => Err(Client::new(&stage.server, &config, "localhost").refusal()),
        }
    };
    [&TLS12, &TLS13].map(answer).into()
}

#[test]
fn required_certificate_is_verified() {
    let clients = Authority::new();
    let stage = stage(ClientAuth::Required(roots(&clients)));
    let certificate = clients.issue(&["client"]);
    let length = certificate.certificate.len();
    assert_eq!(answers(&stage, Some(&certificate)), [Ok(length), Ok(length)]);

    let missing = answers(&stage, None);
    assert!(missing.iter().all(Result::is_err), "{missing:?}");
    let foreign = Authority::new().issue(&["client"]);
    let refused = answers(&stage, Some(&foreign));
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    // Each was tried twice, once for its alert.
    until(|| stage.metrics().failed_for("client_certificate") == 8);
}

#[test]
fn optional_certificate_may_be_missing_but_not_invalid() {
    let clients = Authority::new();
    let stage = stage(ClientAuth::Optional(roots(&clients)));
    let certificate = clients.issue(&["client"]);
    let length = certificate.certificate.len();
    assert_eq!(answers(&stage, Some(&certificate)), [Ok(length), Ok(length)]);
    assert_eq!(answers(&stage, None), [Ok(0), Ok(0)]);
    let foreign = Authority::new().issue(&["client"]);
    assert!(answers(&stage, Some(&foreign)).iter().all(Result::is_err));
}

#[test]
fn client_is_not_asked_by_default() {
    let stage = stage(ClientAuth::Off);
    let certificate = Authority::new().issue(&["client"]);
    assert_eq!(answers(&stage, Some(&certificate)), [Ok(0), Ok(0)]);
}

#[test]
fn revoked_certificate_is_refused() {
    let clients = Authority::new();
    let issue = |serial: u64| {
        let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
        params.serial_number = Some(serial.into());
        clients.issue_with(params, &rcgen::PKCS_ECDSA_P256_SHA256)
    };
    let (good, revoked) = (issue(7), issue(8));
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(2100, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: 8_u64.into(),
            revocation_time: rcgen::date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(clients.issuer()).unwrap();
    let list = Source::Pem(pem("X509 CRL", list.der()).into());
    let stage = stage(ClientAuth::Required(roots(&clients).revocation_list(list)));
    assert!(answers(&stage, Some(&good)).iter().all(Result::is_ok));
    assert_eq!(
        answers(&stage, Some(&revoked)),
        [Err(AlertDescription::CertificateRevoked), Err(AlertDescription::CertificateRevoked)]
    );
}
