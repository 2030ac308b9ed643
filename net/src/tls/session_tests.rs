//! The session alone, with rustls' client as the peer: no socket, so every cut of the input is exact.

use std::io::{Read, Write};
use std::mem;
use std::sync::Arc;

use proptest::prelude::*;
use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    RootCertStore, ServerConfig, SupportedProtocolVersion,
};

use super::super::records::RECORD;
use super::*;

/// A client, and the session that serves it.
struct Pair {
    client: ClientConnection,
    session: Session,
    received: Vec<u8>,
    /// How many records came.
    records: usize,
}

/// Takes all plaintext.
struct All<'a>(&'a mut Vec<u8>);

impl Destination for All<'_> {
    fn take(&mut self, plaintext: &[u8]) -> usize {
        self.0.extend_from_slice(plaintext);
        plaintext.len()
    }
}

struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

fn configs(version: &'static SupportedProtocolVersion) -> Configs {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let config = crate::tls::Config::builder()
        .certificate(crate::tls::Certificate::der(
            vec![certificate.der().to_vec()],
            key.serialize_der(),
        ))
        .build()
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Configs { server: config.current(), client: Arc::new(client) }
}

impl Pair {
    fn new(configs: &Configs) -> Pair {
        let name = ServerName::try_from("localhost").unwrap();
        Pair {
            client: ClientConnection::new(Arc::clone(&configs.client), name).unwrap(),
            session: Session::server(&configs.server).unwrap(),
            received: Vec::new(),
            records: 0,
        }
    }

    fn connected(version: &'static SupportedProtocolVersion) -> Pair {
        let mut pair = Pair::new(&configs(version));
        pair.shuttle(&mut |_| usize::MAX);
        assert!(!pair.client.is_handshaking() && !pair.session.tls().is_handshaking());
        pair
    }

    /// All that the client wants to send.
    fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// One read of the session, behind what it has kept.
    fn feed(&mut self, bytes: &[u8]) {
        let mut input = [self.session.partial(), bytes].concat();
        self.records += self.session.receive(&mut input, &mut All(&mut self.received));
    }

    /// Gives the session's output to the client.
    fn answer(&mut self) {
        let output = self.session.output().waiting().to_vec();
        self.session.output_mut().consume(output.len());
        let mut rest = &output[..];
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets().unwrap();
        }
    }

    /// Passes bytes both ways until neither side has any; `cut` says how long each read of the session is.
    fn shuttle(&mut self, cut: &mut dyn FnMut(usize) -> usize) {
        loop {
            let bytes = self.outgoing();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
                self.feed(now);
                rest = later;
            }
            if bytes.is_empty() && self.session.output().is_empty() {
                return;
            }
            self.answer();
        }
    }

    fn send(&mut self, plaintext: &[u8]) {
        self.client.writer().write_all(plaintext).unwrap();
        let bytes = self.outgoing();
        self.feed(&bytes);
    }

    /// Encrypts `plaintext`, and returns what the client makes of it.
    fn reply(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let end = self.session.encrypt(plaintext, &mut output, 0).unwrap();
        self.session.output_mut().append(&output[..end]);
        self.answer();
        let mut received = vec![0; plaintext.len()];
        self.client.reader().read_exact(&mut received).unwrap();
        received
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

#[test]
fn every_cut_of_a_client_hello_in_two_completes_the_handshake() {
    for version in VERSIONS {
        let configs = configs(version);
        let length = Pair::new(&configs).outgoing().len();
        for at in 1..length {
            let mut pair = Pair::new(&configs);
            let hello = pair.outgoing();
            pair.feed(&hello[..at]);
            pair.feed(&hello[at..]);
            pair.shuttle(&mut |_| usize::MAX);
            assert!(!pair.session.tls().is_handshaking(), "cut at {at}");
            pair.send(b"hello");
            assert_eq!(pair.received, b"hello");
        }
    }
}

#[test]
fn peer_that_sends_single_bytes_is_served() {
    for version in VERSIONS {
        let mut pair = Pair::new(&configs(version));
        pair.shuttle(&mut |_| 1);
        assert!(!pair.session.tls().is_handshaking());
        pair.client.writer().write_all(&[7; 3000]).unwrap();
        pair.shuttle(&mut |_| 1);
        assert_eq!(pair.received, [7; 3000]);
        assert_eq!(pair.reply(b"answer"), b"answer");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plaintext_does_not_depend_on_where_the_network_cuts(
        cuts in prop::collection::vec(1_usize..700, 1..40),
        sizes in prop::collection::vec(1_usize..20_000, 1..6),
        newest in any::<bool>(),
    ) {
        let mut pair = Pair::new(&configs(if newest { &TLS13 } else { &TLS12 }));
        let mut cuts = cuts.into_iter().cycle();
        let mut cut = |_| cuts.next().unwrap();
        pair.shuttle(&mut cut);
        let mut sent = Vec::new();
        for (number, size) in sizes.into_iter().enumerate() {
            let bytes = vec![number as u8; size];
            pair.client.writer().write_all(&bytes).unwrap();
            pair.shuttle(&mut cut);
            sent.extend(bytes);
        }
        prop_assert!(pair.received == sent);
        prop_assert!(pair.session.partial().is_empty());
    }

    #[test]
    fn garbage_fails_the_session_and_does_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        at in 0_usize..300,
        newest in any::<bool>(),
    ) {
        let mut pair = Pair::new(&configs(if newest { &TLS13 } else { &TLS12 }));
        let mut hello = pair.outgoing();
        let at = at.min(hello.len());
        hello.splice(at..(at + bytes.len()).min(hello.len()), bytes);
        for part in hello.chunks(50) {
            pair.feed(part);
            if pair.session.failure().is_some() {
                break;
            }
        }
        prop_assert!(pair.received.is_empty());
    }
}

#[test]
fn key_updates_of_the_peer_are_followed_and_answered() {
    let mut pair = Pair::connected(&TLS13);
    for round in 0..20_u8 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.send(&[round]);
        assert_eq!(pair.received.last(), Some(&round));
        // The answer to the update goes in front of the next record.
        assert_eq!(pair.reply(&[round]), [round]);
    }
    // Cut in the middle of the update, with a write in between.
    pair.client.refresh_traffic_keys().unwrap();
    let bytes = pair.outgoing();
    pair.feed(&bytes[..7]);
    assert_eq!(pair.reply(b"between"), b"between");
    pair.feed(&bytes[7..]);
    pair.send(b"behind");
    assert!(pair.received.ends_with(b"behind"));
    assert_eq!(pair.reply(b"behind"), b"behind");
}

#[test]
fn flood_of_key_updates_fails_the_session() {
    let mut pair = Pair::connected(&TLS13);
    for _ in 0..100 {
        pair.client.refresh_traffic_keys().unwrap();
        let bytes = pair.outgoing();
        pair.feed(&bytes);
        if pair.session.failure().is_some() {
            return;
        }
    }
    panic!("the session took 100 key updates and no data");
}

#[test]
fn what_the_destination_does_not_take_is_kept_in_order() {
    struct Few<'a>(&'a mut Vec<u8>, usize);

    impl Destination for Few<'_> {
        fn take(&mut self, plaintext: &[u8]) -> usize {
            let count = plaintext.len().min(self.1);
            self.0.extend_from_slice(&plaintext[..count]);
            self.1 -= count;
            count
        }
    }

    let mut pair = Pair::connected(&TLS13);
    let sent: Vec<u8> = (0..40_000_u32).map(|at| (at % 251) as u8).collect();
    pair.client.writer().write_all(&sent).unwrap();
    let mut bytes = pair.outgoing();
    let mut taken = Vec::new();
    pair.session.receive(&mut bytes, &mut Few(&mut taken, 20_000));
    assert_eq!(taken.len(), 20_000);
    taken.extend_from_slice(pair.session.plaintext().waiting());
    assert!(taken == sent);
    assert!(pair.session.memory() >= 20_000);
    pair.session.plaintext().consume(20_000);
    assert_eq!(pair.session.memory(), 0);
}

#[test]
fn close_notify_ends_the_input_and_what_follows_is_ignored() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.client.writer().write_all(b"last").unwrap();
        pair.client.send_close_notify();
        let mut bytes = pair.outgoing();
        bytes.extend_from_slice(b"what is this?");
        pair.feed(&bytes);
        assert!(pair.session.is_finished());
        assert_eq!(pair.received, b"last");
        assert_eq!(pair.reply(b"goodbye"), b"goodbye");
        pair.session.close();
        pair.answer();
        assert_eq!(pair.client.reader().read(&mut [0]).unwrap(), 0);
        let refused = pair.session.encrypt(b"more", &mut Vec::new(), 0);
        assert!(matches!(refused, Err(SendError::Closed)));
    }
}

#[test]
fn changed_record_fails_the_session_with_an_alert() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.client.writer().write_all(b"to be changed").unwrap();
        let mut bytes = pair.outgoing();
        *bytes.last_mut().unwrap() ^= 1;
        pair.feed(&bytes);
        assert_eq!(pair.session.failure(), Some(&Error::DecryptError));
        let output = pair.session.output().waiting().to_vec();
        pair.client.read_tls(&mut &output[..]).unwrap();
        let error = pair.client.process_new_packets().unwrap_err();
        assert_eq!(error, Error::AlertReceived(AlertDescription::BadRecordMac));
        // Nothing is sent behind the alert.
        pair.session.close();
        assert_eq!(pair.session.output().waiting(), output);
    }
}

#[test]
fn records_of_full_length_pass_both_ways() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        let bytes: Vec<u8> = (0..3 * RECORD as u32).map(|at| (at % 253) as u8).collect();
        pair.send(&bytes);
        assert!(pair.received == bytes);
        assert!(pair.reply(&bytes[..RECORD]) == bytes[..RECORD]);
    }
}

#[test]
fn each_record_counts() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        pair.records = 0;
        let mut bytes = Vec::new();
        for _ in 0..700 {
            pair.client.writer().write_all(b"x").unwrap();
            bytes.extend(pair.outgoing());
        }
        pair.feed(&bytes);
        assert_eq!((pair.records, pair.received.len()), (700, 700));
    }
}

/// Failure: records without plaintext are decrypted in numbers that no budget of a poll knows.
#[test]
fn empty_records_count_too_and_a_flood_of_them_fails_the_session() {
    let (mut pair, mut records) = Pair::with_records();
    pair.records = 0;
    let mut bytes = Vec::new();
    for _ in 0..30 {
        bytes.extend((0..20).flat_map(|_| records.next(ContentType::ApplicationData, b"")));
        bytes.extend(records.next(ContentType::ApplicationData, b"x"));
    }
    pair.feed(&bytes);
    assert_eq!((pair.records, pair.received.len()), (30 * 21, 30));
    assert!(pair.session.is_open());
    let flood: Vec<u8> =
        (0..700).flat_map(|_| records.next(ContentType::ApplicationData, b"")).collect();
    pair.feed(&flood);
    assert!(pair.session.failure().is_some());
}

/// Failure: a message of the handshake in fragments of a byte is kept with the overhead of each, and
/// each read copies all of it.
#[test]
fn fragments_of_a_message_behind_the_handshake_are_bounded() {
    let (mut pair, mut records) = Pair::with_records();
    // A key update that is said to be of 60,000 bytes.
    pair.feed(&records.next(ContentType::Handshake, &[24, 0, 0xea, 0x60]));
    for _ in 0..1000 {
        pair.feed(&records.next(ContentType::Handshake, b"x"));
    }
    assert!(pair.session.failure().is_some());
    assert_eq!(pair.session.partial().len(), 0);
}

/// A client's records of any content, protected with the keys that a handshake has made.
struct Records {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Records {
    fn next(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let version = ProtocolVersion::TLSv1_3;
        let message = OutboundPlainMessage { typ, version, payload: payload.into() };
        self.sequence += 1;
        self.encrypter.encrypt(message, self.sequence - 1).unwrap().encode()
    }
}

impl Pair {
    /// A session of TLS 1.3 behind its handshake, whose client is no more than its keys.
    fn with_records() -> (Pair, Records) {
        let mut configs = configs(&TLS13);
        Arc::get_mut(&mut configs.client).unwrap().enable_secret_extraction = true;
        let mut pair = Pair::new(&configs);
        pair.shuttle(&mut |_| usize::MAX);
        let rest = ClientConnection::new(configs.client, "localhost".try_into().unwrap()).unwrap();
        let client = mem::replace(&mut pair.client, rest);
        let suite = client.negotiated_cipher_suite().unwrap().tls13().unwrap();
        let (sequence, secrets) = client.dangerous_extract_secrets().unwrap().tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            unreachable!("all suites have one of these")
        };
        (pair, Records { encrypter: suite.aead_alg.encrypter(key, iv), sequence })
    }
}

/// A session of a client, and one of a server.
struct Both {
    client: Session,
    server: Session,
    received: Vec<u8>,
}

impl Both {
    fn new(configs: &Configs) -> Both {
        let name = ServerName::try_from("localhost").unwrap();
        Both {
            client: Session::client(&configs.client, name).unwrap(),
            server: Session::server(&configs.server).unwrap(),
            received: Vec::new(),
        }
    }

    /// Passes bytes both ways until neither side has any; `cut` says how long each read of the client is.
    fn shuttle(&mut self, cut: &mut dyn FnMut(usize) -> usize) {
        while !self.client.output().is_empty() || !self.server.output().is_empty() {
            let bytes = take(&mut self.client);
            let mut input = [self.server.partial(), &bytes].concat();
            self.server.receive(&mut input, &mut All(&mut Vec::new()));
            let bytes = take(&mut self.server);
            self.feed(&bytes, cut);
        }
    }

    fn feed(&mut self, bytes: &[u8], cut: &mut dyn FnMut(usize) -> usize) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
            let mut input = [self.client.partial(), now].concat();
            self.client.receive(&mut input, &mut All(&mut self.received));
            rest = later;
        }
    }

    /// The server sends `plaintext`.
    fn send(&mut self, plaintext: &[u8], cut: &mut dyn FnMut(usize) -> usize) {
        let mut output = Vec::new();
        let end = self.server.encrypt(plaintext, &mut output, 0).unwrap();
        self.feed(&output[..end], cut);
    }
}

/// What the session wants to send.
fn take(session: &mut Session) -> Vec<u8> {
    let output = session.output().waiting().to_vec();
    session.output_mut().consume(output.len());
    output
}

#[test]
fn client_that_reads_single_bytes_connects() {
    for version in VERSIONS {
        let mut both = Both::new(&configs(version));
        both.shuttle(&mut |_| 1);
        assert!(!both.client.tls().is_handshaking() && !both.server.tls().is_handshaking());
        both.send(&[7; 3000], &mut |_| 1);
        assert_eq!(both.received, [7; 3000]);
        assert_eq!(both.client.memory(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn client_does_not_depend_on_where_the_network_cuts(
        cuts in prop::collection::vec(1_usize..700, 1..40),
        sizes in prop::collection::vec(1_usize..20_000, 1..6),
        newest in any::<bool>(),
    ) {
        let mut both = Both::new(&configs(if newest { &TLS13 } else { &TLS12 }));
        let mut cuts = cuts.into_iter().cycle();
        let mut cut = |_| cuts.next().unwrap();
        both.shuttle(&mut cut);
        let mut sent = Vec::new();
        for (number, size) in sizes.into_iter().enumerate() {
            let bytes = vec![number as u8; size];
            both.send(&bytes, &mut cut);
            sent.extend(bytes);
        }
        prop_assert!(both.received == sent);
        prop_assert!(both.client.partial().is_empty());
    }

    #[test]
    fn garbage_of_a_server_fails_the_client_and_does_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        at in 0_usize..2000,
        newest in any::<bool>(),
    ) {
        let mut both = Both::new(&configs(if newest { &TLS13 } else { &TLS12 }));
        let mut hello = take(&mut both.client);
        both.server.receive(&mut hello, &mut All(&mut Vec::new()));
        let mut flight = take(&mut both.server);
        let at = at.min(flight.len());
        flight.splice(at..(at + bytes.len()).min(flight.len()), bytes);
        for part in flight.chunks(50) {
            both.feed(part, &mut |length| length);
            if both.client.failure().is_some() {
                break;
            }
        }
        prop_assert!(both.received.is_empty());
    }
}

#[test]
fn session_is_small() {
    // The session of rustls is in it.
    assert!(size_of::<Session>() <= 1400, "{}", size_of::<Session>());
    let pair = Pair::connected(&TLS13);
    assert_eq!(pair.session.memory(), 0);
}
