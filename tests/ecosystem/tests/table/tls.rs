//! TLS of others over heist's streams.

use std::sync::Arc;

use futures::{AsyncReadExt, AsyncWriteExt};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{connected, run};

/// Settings of the two ends for `localhost`.
pub(crate) fn settings() -> (ClientConfig, ServerConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (client, server)
}

pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// More than one record, and more than a socket takes at once.
const BYTES: usize = 4 << 20;

#[test]
fn futures_rustls_runs_over_a_stream() {
    run(async {
        let (client, server) = settings();
        let (near, far) = connected().await;
        let sender = heist::spawn(async move {
            let acceptor = futures_rustls::TlsAcceptor::from(Arc::new(server));
            let mut stream = acceptor.accept(far).await.unwrap();
            stream.write_all(&vec![7; BYTES]).await.unwrap();
            stream.close().await.unwrap();
        });
        let connector = futures_rustls::TlsConnector::from(Arc::new(client));
        let mut stream = connector.connect(name(), near).await.unwrap();
        let mut received = Vec::new();
        AsyncReadExt::read_to_end(&mut stream, &mut received).await.unwrap();
        assert!(received.len() == BYTES && received.iter().all(|it| *it == 7));
        sender.await.unwrap();
    });
}

#[test]
fn tokio_rustls_runs_over_a_stream_without_tokios_runtime() {
    run(async {
        let (client, server) = settings();
        let (near, far) = connected().await;
        let sender = heist::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
            let mut stream = acceptor.accept(far).await.unwrap();
            stream.write_all(&vec![7; BYTES]).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let mut stream = connector.connect(name(), near).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert!(received.len() == BYTES && received.iter().all(|it| *it == 7));
        sender.await.unwrap();
    });
}
