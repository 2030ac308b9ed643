//! New certificates for a server that runs.

use std::fs;

use heist_net::server::Limits;
use heist_net::tls::{Certificate, Config, ConfigError};

use crate::authority::{Authority, Directory, Issued};
use crate::client::{Client, ClientOptions};
use crate::common::runtime;
use crate::stage::{echo, serve};

/// Files that a server reads, and what it was made of.
struct Files {
    directory: Directory,
    authority: Authority,
}

impl Files {
    fn new() -> Files {
        let files = Files { directory: Directory::new(), authority: Authority::new() };
        files.write(&files.authority.issue(&["localhost"]));
        files
    }

    fn write(&self, issued: &Issued) {
        self.directory.write("chain.pem", &issued.chain_pem());
        self.directory.write("key.pem", &issued.key_pem());
    }

    fn build(&self) -> Result<Config, ConfigError> {
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| self.directory.path(name));
        Config::builder().certificate(Certificate::files(chain, key)).build()
    }
}

#[test]
fn reload_concerns_new_connections_and_a_failed_one_changes_nothing() {
    let files = Files::new();
    let config = files.build().unwrap();
    let reloader = config.reloader();
    let runtime = runtime();
    let server = serve(&runtime, config, Limits::default(), echo);
    let client_config = ClientOptions::default().config(&files.authority);
    let given = || {
        let mut client = Client::new(&server, &client_config, "localhost");
        client.ask("hello");
        client.tls.peer_certificates().unwrap()[0].to_vec()
    };
    let first = given();
    let mut open = Client::new(&server, &client_config, "localhost");
    open.ask("before");

    // Tickets would hide the certificate.
    let client_config = ClientOptions::default().config(&files.authority);
    let given = || {
        let mut client = Client::new(&server, &client_config, "localhost");
        client.ask("hello");
        client.tls.peer_certificates().unwrap()[0].to_vec()
    };
    let second = files.authority.issue(&["localhost"]);
    files.write(&second);
    reloader.reload().unwrap();
    let now = given();
    assert!(now == second.certificate && now != first);
    open.ask("after");

    files.directory.write("key.pem", b"no key");
    let error = reloader.reload().unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
    Client::new(&server, &ClientOptions::default().config(&files.authority), "localhost").ask("hi");
    open.ask("still");

    let metrics = server.metrics().tls.unwrap();
    assert_eq!((metrics.reloads, metrics.failed_reloads), (1, 1));
    assert!(metrics.expires.is_some_and(|end| end > 1_700_000_000), "{:?}", metrics.expires);
}

#[test]
fn each_error_names_its_file_and_the_remedy() {
    let files = Files::new();
    let directory = &files.directory;
    let error = |file: &str, content: Option<&[u8]>| {
        let files_now = files.authority.issue(&["localhost"]);
        files.write(&files_now);
        match content {
            Some(content) => drop(directory.write(file, content)),
            None => fs::remove_file(directory.path(file)).unwrap(),
        }
        let error = files.build().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(file), "{text}");
        (error, text)
    };

    let (missing, _) = error("chain.pem", None);
    assert!(matches!(missing, ConfigError::Read { .. }), "{missing:?}");
    let (empty, text) = error("chain.pem", Some(b""));
    assert!(matches!(empty, ConfigError::Missing { .. }), "{empty:?}");
    assert!(text.contains("BEGIN CERTIFICATE"), "{text}");
    let (broken, _) =
        error("chain.pem", Some(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"));
    assert!(matches!(broken, ConfigError::Pem { .. }), "{broken:?}");
    let (nonsense, _) =
        error("chain.pem", Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    assert!(matches!(nonsense, ConfigError::Unusable { .. }), "{nonsense:?}");
    let (not_a_key, _) =
        error("key.pem", Some(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
    assert!(matches!(not_a_key, ConfigError::Unusable { .. }), "{not_a_key:?}");
    let other = files.authority.issue(&["localhost"]).key_pem();
    let (mismatch, text) = error("key.pem", Some(&other));
    assert!(matches!(mismatch, ConfigError::KeyMismatch { .. }), "{mismatch:?}");
    assert!(text.contains("chain.pem"), "{text}");

    let none = Config::builder().build().unwrap_err();
    assert!(matches!(none, ConfigError::NoCertificate), "{none:?}");
}

#[test]
fn key_is_never_shown() {
    let issued = Authority::new().issue(&["localhost"]);
    let config = Config::builder().certificate(issued.for_server());
    let shown = format!("{config:?} {:?}", config.clone().build().unwrap());
    let bytes = format!("{:?}", issued.key);
    assert!(!shown.contains(&bytes[1..20]), "{shown}");
}
