//! The header of a frame (RFC 9113, 4.1).

/// The first nine bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Without the reserved bit.
    pub(super) stream: u32,
}

impl FrameHeader {
    pub(super) const BYTES: usize = 9;

    pub(super) fn parse(bytes: [u8; FrameHeader::BYTES]) -> FrameHeader {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        FrameHeader {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & !RESERVED,
        }
    }

    pub(super) fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    pub(super) fn ends_headers(&self) -> bool {
        self.flags & END_HEADERS != 0
    }

    pub(super) fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }

    pub(super) fn is_padded(&self) -> bool {
        self.flags & PADDED != 0
    }

    /// The bytes of a HEADERS payload in front of its part of the header block, without padding.
    pub(super) fn priority_bytes(&self) -> u32 {
        if self.flags & PRIORITY_FLAG != 0 { 5 } else { 0 }
    }
}

/// Reads the headers of frames, one after the other, wherever the bytes are cut.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// The part of a header that came.
    header: [u8; FrameHeader::BYTES],
    header_bytes: u8,
    /// Of the present frame's payload: how much is still to come.
    payload_left: u32,
    /// How much of it is still to be looked at, and what came of that.
    wanted: u8,
    front: [u8; FRONT],
    front_bytes: u8,
}

/// What a reader has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Header(FrameHeader),
    /// The part of the payload that was asked for by [`FrameReader::want`], at most all of it.
    Front(FrameHeader, [u8; FRONT]),
    /// The payload has come to its end.
    End(FrameHeader),
}

/// The most bytes of a payload that are looked at.
pub(super) const FRONT: usize = 8;

impl FrameReader {
    pub(super) const fn new() -> FrameReader {
        FrameReader {
            header: [0; FrameHeader::BYTES],
            header_bytes: 0,
            payload_left: 0,
            wanted: 0,
            front: [0; FRONT],
            front_bytes: 0,
        }
    }

    /// Reads on in `bytes`, from their front, which moves. `None` at their end.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Found> {
        let have = usize::from(self.header_bytes);
        if have < FrameHeader::BYTES {
            if bytes.is_empty() {
                return None;
            }
            let taken = (FrameHeader::BYTES - have).min(bytes.len());
            self.header[have..have + taken].copy_from_slice(&bytes[..taken]);
            *bytes = &bytes[taken..];
            self.header_bytes = (have + taken) as u8;
            if have + taken < FrameHeader::BYTES {
                return None;
            }
            let header = FrameHeader::parse(self.header);
            (self.payload_left, self.wanted, self.front_bytes) = (header.length, 0, 0);
            return Some(Found::Header(header));
        }
        if self.wanted > 0 {
            return self.read_front(bytes);
        }
        let taken = bytes.len().min(self.payload_left as usize);
        *bytes = &bytes[taken..];
        self.payload_left -= taken as u32;
        (self.payload_left == 0).then(|| {
            self.header_bytes = 0;
            Found::End(FrameHeader::parse(self.header))
        })
    }

    /// Has the first bytes of the payload of the frame whose header was just found returned.
    pub(super) fn want(&mut self, bytes: usize) {
        self.wanted = bytes.min(FRONT).min(self.payload_left as usize) as u8;
    }

    fn read_front(&mut self, bytes: &mut &[u8]) -> Option<Found> {
        let have = usize::from(self.front_bytes);
        let wanted = usize::from(self.wanted);
        let taken = (wanted - have).min(bytes.len());
        self.front[have..have + taken].copy_from_slice(&bytes[..taken]);
        *bytes = &bytes[taken..];
        self.front_bytes = (have + taken) as u8;
        self.payload_left -= taken as u32;
        (have + taken == wanted).then(|| {
            self.wanted = 0;
            let mut front = [0; FRONT];
            front[..wanted].copy_from_slice(&self.front[..wanted]);
            Found::Front(FrameHeader::parse(self.header), front)
        })
    }

    /// Whether the next byte begins a frame.
    pub(super) fn is_between_frames(&self) -> bool {
        self.header_bytes == 0
    }

    /// Whether [`next`](FrameReader::next) finds the end of a frame without further bytes.
    pub(super) fn has_empty_payload(&self) -> bool {
        usize::from(self.header_bytes) == FrameHeader::BYTES && self.payload_left == 0
    }

    /// The header of the frame whose payload is under way.
    pub(super) fn frame(&self) -> Option<FrameHeader> {
        (usize::from(self.header_bytes) == FrameHeader::BYTES)
            .then(|| FrameHeader::parse(self.header))
    }
}

/// The 31 bits of a number with a reserved bit in front.
pub(super) fn number(front: [u8; FRONT]) -> u32 {
    let [n0, n1, n2, n3, ..] = front;
    u32::from_be_bytes([n0, n1, n2, n3])
}

pub(super) const RESERVED: u32 = 1 << 31;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PUSH_PROMISE: u8 = 0x5;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;
/// RFC 9218.
pub(super) const PRIORITY_UPDATE: u8 = 0x10;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY_FLAG: u8 = 0x20;

/// Codes of errors (RFC 9113, 7).
pub(in crate::http::http2) mod code {
    pub(in crate::http::http2) const NO_ERROR: u32 = 0x0;
    pub(in crate::http::http2) const PROTOCOL_ERROR: u32 = 0x1;
    pub(in crate::http::http2) const INTERNAL_ERROR: u32 = 0x2;
    pub(in crate::http::http2) const STREAM_CLOSED: u32 = 0x5;
    pub(in crate::http::http2) const FRAME_SIZE_ERROR: u32 = 0x6;
    pub(in crate::http::http2) const REFUSED_STREAM: u32 = 0x7;
    pub(in crate::http::http2) const CANCEL: u32 = 0x8;
    pub(in crate::http::http2) const ENHANCE_YOUR_CALM: u32 = 0xb;
}
