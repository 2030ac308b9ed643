//! A client that writes its frames by hand, and as wrongly as a test wants.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Against hangs.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The number at this place of the payload.
    pub(crate) fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a request.
pub(crate) fn block(method: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    literal(&mut block, 2, method);
    block.push(0x86);
    literal(&mut block, 4, path);
    literal(&mut block, 1, "a");
    block
}

/// A field whose name is in the static table.
fn literal(block: &mut Vec<u8>, name: u8, value: &str) {
    block.push(name);
    length(block, value.len());
    block.extend(value.as_bytes());
}

/// A field of any name.
pub(crate) fn field(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        length(block, text.len());
        block.extend(text.as_bytes());
    }
}

fn length(block: &mut Vec<u8>, length: usize) {
    if length < 127 {
        return block.push(length as u8);
    }
    block.push(127);
    let mut left = length - 127;
    while left >= 128 {
        block.push((left % 128) as u8 | 128);
        left /= 128;
    }
    block.push(left as u8);
}

/// A request without a body, or the head of one with a body.
pub(crate) fn request(stream: u32, path: &str, ends: bool) -> Vec<u8> {
    let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &block(if ends { "GET" } else { "POST" }, path))
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

pub(crate) fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// A SETTINGS frame.
pub(crate) fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in pairs {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// The status in a header block of the server, whose table is off.
fn status(block: &[u8]) -> u16 {
    // Changes of the table's size come first.
    let updates = block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count();
    let block = &block[updates..];
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        // A literal, in Huffman's code of digits: 0 to 2 have five bits, the others six.
        _ => {
            let length = usize::from(block[1] & 0x7f);
            let value = &block[2..2 + length];
            if block[1] & 0x80 == 0 {
                return std::str::from_utf8(value).unwrap().parse().unwrap();
            }
            let bits: Vec<u32> = value
                .iter()
                .flat_map(|byte| (0..8).rev().map(move |n| (byte >> n & 1).into()))
                .collect();
            let number = |at: usize, count: usize| {
                bits[at..at + count].iter().fold(0, |number, bit| number * 2 + bit)
            };
            let (mut at, mut code) = (0, 0);
            for _ in 0..3 {
                let short = number(at, 5);
                let (digit, bits) =
                    if short <= 2 { (short, 5) } else { (number(at, 6) - 0b01_1001 + 3, 6) };
                code = code * 10 + digit as u16;
                at += bits;
            }
            code
        }
    }
}

/// One connection of HTTP/2.
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    came: Vec<u8>,
}

impl Client {
    /// Without a preface.
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client::over(stream)
    }

    /// Whether the server has not closed. What came meanwhile is kept.
    pub(crate) fn is_open(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        let open = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break false,
                Ok(count) => self.came.extend(&buffer[..count]),
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).unwrap();
        open
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Client<S> {
        Client { stream, came: Vec::new() }
    }

    /// Sends the preface and `pairs` as SETTINGS, and has the server's header table off.
    pub(crate) fn begin(&mut self, pairs: &[(u16, u32)]) {
        let mut all = vec![(1, 0)];
        all.extend(pairs);
        self.send(PREFACE);
        self.send(&settings(&all));
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends, unless the server has closed. Returns whether it has not.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let header = self.take(9)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let stream = u32::from_be_bytes(header[5..9].try_into().unwrap()) & !(1 << 31);
        let payload = self.take(length as usize)?;
        Some(Frame { kind: header[3], flags: header[4], stream, payload })
    }

    /// The next frame of this kind.
    pub(crate) fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("no frame of kind {kind} came"));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The status and the body of the answer on `stream`; of other streams nothing may come but their
    /// resets.
    pub(crate) fn answer(&mut self, stream: u32) -> (u16, Vec<u8>) {
        let (mut code, mut body) = (0, Vec::new());
        loop {
            let frame = self.next().expect("the answer comes before the end");
            if frame.stream == stream {
                match frame.kind {
                    HEADERS if code == 0 => code = status(&frame.payload),
                    DATA => body.extend(&frame.payload),
                    RST_STREAM => panic!("the stream was reset: {}", frame.number(0)),
                    _ => {}
                }
                if frame.ends_stream() {
                    return (code, body);
                }
            }
        }
    }

    /// Sends a request without a body, and returns the answer.
    pub(crate) fn get(&mut self, stream: u32, path: &str) -> (u16, Vec<u8>) {
        self.send(&request(stream, path, true));
        self.answer(stream)
    }

    /// Reads to the end, and returns the code of the last GOAWAY.
    pub(crate) fn goaway(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                code = Some(frame.number(4));
            }
        }
        code
    }

    /// Text until `end`, of another version.
    pub(crate) fn text_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(self.take(1).expect("it comes before the end")[0].into());
        }
        text
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut buffer = [0; 16 * 1024];
        while self.came.len() < count {
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.came.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
        Some(self.came.drain(..count).collect())
    }
}
