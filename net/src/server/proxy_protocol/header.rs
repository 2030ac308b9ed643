//! Where a PROXY header ends, and what it says. Nothing here reads a socket.
//!
//! The frame, which bounds the length, is found here; a whole header is read by the crate
//! `proxy-header`. What that crate accepts beyond the specification is refused here.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};

/// Why the connection of a trusted proxy was closed without a PROXY header that could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyHeaderError {
    /// The connection begins with something else.
    #[error("the connection of a trusted proxy does not begin with a PROXY header")]
    Missing,
    /// The connection ended before its header did.
    #[error("the connection of a trusted proxy ended before its PROXY header")]
    Ended,
    /// The header breaks the rules of its version.
    #[error("the PROXY header is malformed")]
    Malformed,
    /// The header is longer than is taken.
    #[error("the PROXY header is longer than {limit} bytes")]
    TooLong {
        /// The most that is taken.
        limit: usize,
    },
}

/// What the front of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The front of a header.
    Partial,
    /// A header of so many bytes, and maybe more behind it.
    Complete(usize),
}

/// Finds the end of the header that `bytes` begin with.
///
/// The first bytes decide: more of them behind never change an error or an end.
///
/// # Errors
///
/// The bytes are not the front of a header, or it is too long.
pub(super) fn frame(bytes: &[u8]) -> Result<Frame, ProxyHeaderError> {
    match bytes.first() {
        None => Ok(Frame::Partial),
        Some(b'P') => frame_of_line(bytes),
        Some(_) => frame_of_binary(bytes),
    }
}

/// Version 1: a line that ends with CR and LF.
fn frame_of_line(bytes: &[u8]) -> Result<Frame, ProxyHeaderError> {
    expect_front(bytes, LINE_FRONT)?;
    // Both ends of the line count to its length.
    let mut line = bytes.iter().take(LINE_BYTES - 1);
    let Some(end) = line.position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return match bytes.len() < LINE_BYTES - 1 {
            true => Ok(Frame::Partial),
            false => Err(ProxyHeaderError::TooLong { limit: LINE_BYTES }),
        };
    };
    match (bytes[end], bytes.get(end + 1)) {
        (b'\r', None) => Ok(Frame::Partial),
        (b'\r', Some(b'\n')) => Ok(Frame::Complete(end + 2)),
        _ => Err(ProxyHeaderError::Malformed),
    }
}

/// Version 2: a signature, a command, a family, and the length of the rest.
fn frame_of_binary(bytes: &[u8]) -> Result<Frame, ProxyHeaderError> {
    expect_front(bytes, SIGNATURE)?;
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else { return Ok(Frame::Partial) };
    if !matches!(fixed[COMMAND], LOCAL | PROXY) {
        return Err(ProxyHeaderError::Malformed);
    }
    let rest = usize::from(u16::from_be_bytes([fixed[LENGTH], fixed[LENGTH + 1]]));
    if rest > REST_BYTES {
        return Err(ProxyHeaderError::TooLong { limit: FIXED_BYTES + REST_BYTES });
    }
    match FIXED_BYTES + rest {
        length if length <= bytes.len() => Ok(Frame::Complete(length)),
        _ => Ok(Frame::Partial),
    }
}

/// Checks `bytes`, as far as there are any, against the front that a header has.
fn expect_front(bytes: &[u8], front: &[u8]) -> Result<(), ProxyHeaderError> {
    match bytes.iter().zip(front).all(|(byte, expected)| byte == expected) {
        true => Ok(()),
        false => Err(ProxyHeaderError::Missing),
    }
}

/// The address of the client that `header` tells of, which is a whole one. `None` if it tells of none
/// that a server could use: the proxy speaks for itself (LOCAL), does not know (UNKNOWN, unspecified),
/// or its client came over a Unix socket.
///
/// # Errors
///
/// [`Malformed`](ProxyHeaderError::Malformed).
pub(super) fn parse(header: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let is_line = header.starts_with(LINE_FRONT);
    if is_line && !is_strict_line(header) {
        return Err(ProxyHeaderError::Malformed);
    }
    // Whatever the rest of it says is to be ignored.
    if !is_line && header.get(COMMAND) == Some(&LOCAL) {
        return Ok(None);
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(header, config) {
        Ok((parsed, length)) if length == header.len() => {
            Ok(parsed.proxied_address().map(|addresses| addresses.source))
        }
        Ok(_) | Err(_) => Err(ProxyHeaderError::Malformed),
    }
}

/// Whether the words of a line are separated as they are to be, and its ports plain numbers.
fn is_strict_line(line: &[u8]) -> bool {
    let mut words = line[..line.len() - 2].split(|&byte| byte == b' ').skip(1);
    match words.next() {
        Some(b"UNKNOWN") => true,
        Some(b"TCP4" | b"TCP6") => {
            let (addresses, ports) = (words.by_ref().take(2).count(), words.by_ref().take(2));
            addresses == 2
                && ports.filter(|port| is_port(port)).count() == 2
                && words.next().is_none()
        }
        _ => false,
    }
}

/// Whether it consists of digits, without zeros in front. How great it is does not matter here.
fn is_port(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || text.first() != Some(&b'0'))
}

/// What a header of version 1 begins with.
const LINE_FRONT: &[u8] = b"PROXY ";

/// The longest header of version 1 that the specification allows.
const LINE_BYTES: usize = 107;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part of a header of version 2 that each has, up to its length.
const FIXED_BYTES: usize = 16;
const COMMAND: usize = 12;
const LENGTH: usize = 14;

/// The most that may follow: addresses take 216 bytes, the certificates' names, the identifiers and
/// what else clouds add some hundred.
const REST_BYTES: usize = 4096;

/// Version 2 and the command.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
