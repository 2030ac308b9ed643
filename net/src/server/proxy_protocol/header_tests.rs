//! Headers as the specification has them, their cuts, and hostile bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// A header of version 2 with these bytes behind the length.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn addresses_v4() -> Vec<u8> {
    [&[192, 0, 2, 1, 198, 51, 100, 2][..], &4321_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
}

fn addresses_v6() -> Vec<u8> {
    let (source, destination) = ("2001:db8::7", "2001:db8::1");
    let bits = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    [&bits(source)[..], &bits(destination), &4321_u16.to_be_bytes(), &443_u16.to_be_bytes()]
        .concat()
}

/// What a whole header says, wherever it is cut.
fn read(header: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    match frame(header)? {
        Frame::Complete(length) => parse(&header[..length]),
        Frame::Partial => Err(ProxyHeaderError::Ended),
    }
}

fn client(text: &str) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    Ok(Some(text.parse().unwrap()))
}

#[test]
fn clients_of_both_versions_and_families_are_read() {
    let tlv = |mut rest: Vec<u8>| {
        // ALPN, and one whose length is wrong: what they say is not looked at.
        rest.extend([1, 0, 2, b'h', b'2', 4, 0xFF, 0xFF]);
        rest
    };
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 443\r\n".to_vec(), "192.0.2.1:4321"),
        (b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n".to_vec(), "255.255.255.255:65535"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 443\r\n".to_vec(), "[2001:db8::7]:4321"),
        (binary(PROXY, 0x11, &addresses_v4()), "192.0.2.1:4321"),
        (binary(PROXY, 0x12, &addresses_v4()), "192.0.2.1:4321"),
        (binary(PROXY, 0x21, &addresses_v6()), "[2001:db8::7]:4321"),
        (binary(PROXY, 0x22, &addresses_v6()), "[2001:db8::7]:4321"),
        (binary(PROXY, 0x11, &tlv(addresses_v4())), "192.0.2.1:4321"),
        (binary(PROXY, 0x21, &tlv(addresses_v6())), "[2001:db8::7]:4321"),
    ] {
        assert_eq!(read(&header), client(expected), "{}", header.escape_ascii());
    }
}

#[test]
fn headers_without_a_usable_client_are_taken() {
    let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", "ffff:".repeat(7) + "ffff");
    assert_eq!(longest.len(), LINE_BYTES);
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN whatever \0 \xFF there is\r\n".to_vec(),
        longest.into_bytes(),
        binary(LOCAL, 0x00, &[]),
        binary(LOCAL, 0x11, &addresses_v4()),
        // The family of LOCAL is to be ignored.
        binary(LOCAL, 0x99, &[1, 2, 3]),
        binary(PROXY, 0x00, &[]),
        binary(PROXY, 0x00, &[9; REST_BYTES]),
        binary(PROXY, 0x31, &[b'/'; 216]),
        binary(PROXY, 0x32, &[0; 230]),
    ] {
        assert_eq!(read(&header), Ok(None), "{}", header.escape_ascii());
    }
}

#[test]
fn malformed_headers_are_refused() {
    let six = addresses_v6();
    for header in [
        b"PROXY \r\n".to_vec(),
        b"PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n".to_vec(),
        b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 02\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n".to_vec(),
        b"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.02.1 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::7%1 2001:db8::1 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 \xFF\r\n".to_vec(),
        b"PROXY UNKNOWNS\r\n".to_vec(),
        b"PROXY unknown\r\n".to_vec(),
        b"PROXY UNKNOWN\n".to_vec(),
        b"PROXY UNKNOWN\rx".to_vec(),
        binary(0x11, 0x11, &addresses_v4()),
        binary(0x22, 0x11, &addresses_v4()),
        binary(PROXY, 0x11, &addresses_v4()[..11]),
        binary(PROXY, 0x21, &six[..35]),
        binary(PROXY, 0x31, &[0; 215]),
        binary(PROXY, 0x41, &six),
        binary(PROXY, 0x13, &addresses_v4()),
        binary(PROXY, 0x10, &addresses_v4()),
    ] {
        assert_eq!(read(&header), Err(ProxyHeaderError::Malformed), "{}", header.escape_ascii());
    }
}

#[test]
fn other_protocols_are_refused_at_their_first_bytes() {
    for start in
        ["GET / HTTP/1.1", "PRI * HTTP/2.0", "\x16\x03\x01", "PROXIED", "\r\n\r\nGET", "\n", " "]
    {
        assert_eq!(frame(start.as_bytes()), Err(ProxyHeaderError::Missing), "{start:?}");
    }
    // A request may begin as a header does, but no further than this.
    for start in ["P", "PROX", "PROXY", "\r", "\r\n\r\n\0\r\nQUIT"] {
        assert_eq!(frame(start.as_bytes()), Ok(Frame::Partial), "{start:?}");
    }
    assert_eq!(frame(b"PROXYTCP4"), Err(ProxyHeaderError::Missing));
}

#[test]
fn headers_are_bounded() {
    let line = |bytes: usize| [LINE_FRONT, b"UNKNOWN ", &vec![b'x'; bytes]].concat();
    let too_long = Err(ProxyHeaderError::TooLong { limit: LINE_BYTES });
    assert_eq!(frame(&line(LINE_BYTES - 2 - 14)), Ok(Frame::Partial));
    assert_eq!(frame(&line(LINE_BYTES - 1 - 14)), too_long);
    assert_eq!(frame(&[&line(LINE_BYTES - 1 - 14)[..], b"\r\n"].concat()), too_long);
    assert_eq!(frame(&line(1 << 16)), too_long);
    let limit = FIXED_BYTES + REST_BYTES;
    assert_eq!(frame(&binary(PROXY, 0x00, &[0; REST_BYTES])), Ok(Frame::Complete(limit)));
    // Refused before a byte of it has come.
    let announced = &binary(LOCAL, 0x00, &[0; REST_BYTES + 1])[..FIXED_BYTES];
    assert_eq!(frame(announced), Err(ProxyHeaderError::TooLong { limit }));
}

/// Bytes that are, or nearly are, a header with something behind it.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "PROXY [TCPUNKOW46 0-9a-f:.+]{0,110}(\r\n)?",
        "PROXY TCP[46]( [0-9a-f:.]{0,40}){0,5} ?\r?\n?",
    ]
    .prop_map(String::into_bytes);
    let rest = proptest::collection::vec(any::<u8>(), 0..400);
    let binary = (0x1F..0x23_u8, any::<u8>(), any::<u16>(), rest, any::<bool>()).prop_map(
        |(command, family, length, rest, honest)| {
            let mut header = binary(command, family, &rest);
            if !honest {
                header[LENGTH..FIXED_BYTES].copy_from_slice(&length.to_be_bytes());
            }
            header
        },
    );
    let garbage = proptest::collection::vec(any::<u8>(), 0..300);
    let front = prop_oneof![line, binary, garbage];
    let damage = proptest::option::of((any::<proptest::sample::Index>(), any::<u8>()));
    (front, damage, proptest::collection::vec(any::<u8>(), 0..32)).prop_map(
        |(mut bytes, damage, behind)| {
            if let Some((index, byte)) = damage
                && !bytes.is_empty()
            {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            bytes.extend(behind);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Failure: what is made of a header depends on where the network cuts it, or a peer makes the
    /// server panic.
    #[test]
    fn first_bytes_decide_whatever_follows(bytes in hostile()) {
        let mut decided = None;
        for end in 0..=bytes.len() {
            let framed = frame(&bytes[..end]);
            if let Some(before) = decided {
                prop_assert_eq!(framed, before);
            } else if framed != Ok(Frame::Partial) {
                prop_assert!(end <= FIXED_BYTES + REST_BYTES);
                decided = Some(framed);
                if let Ok(Frame::Complete(length)) = framed {
                    prop_assert_eq!(length, end);
                    let _ = parse(&bytes[..length]);
                }
            }
        }
    }

    #[test]
    fn clients_of_lines_are_read(source: Ipv4Addr, destination: Ipv4Addr, ports: (u16, u16)) {
        let (port, to) = ports;
        let line = format!("PROXY TCP4 {source} {destination} {port} {to}\r\nGET");
        prop_assert_eq!(read(line.as_bytes()), Ok(Some((source, port).into())));
        let (source, destination) = (source.to_ipv6_mapped(), destination.to_ipv6_compatible());
        let line = format!("PROXY TCP6 {source} {destination} {port} {to}\r\nGET");
        prop_assert_eq!(read(line.as_bytes()), Ok(Some((source, port).into())));
    }

    #[test]
    fn clients_of_binary_headers_are_read(source: Ipv6Addr, port: u16, tlvs: Vec<u8>) {
        let rest = [&source.octets()[..], &[1; 16], &port.to_be_bytes(), &[0, 80], &tlvs].concat();
        prop_assert_eq!(read(&binary(PROXY, 0x21, &rest)), Ok(Some((source, port).into())));
    }
}
