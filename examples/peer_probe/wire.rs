//! The peer protocol as bytes (BEP 3): knows no connection, only what a message looks like, and
//! what is wrong with one that does not.

use heist::protocol::Error;

use crate::torrent::InfoHash;

/// The id a peer claims.
pub(crate) type PeerId = [u8; 20];

/// What a peer sends once the handshakes are done, as far as a probe cares.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    KeepAlive,
    Choke,
    Unchoke,
    Have(u32),
    Bitfield(&'a [u8]),
    /// `have all` or `have none` (BEP 6). This program does not offer that extension, but the
    /// meaning is clear.
    HaveEvery(bool),
    /// Of a kind that does not matter here, or is not known yet.
    Other,
}

/// This program's handshake.
pub(crate) fn handshake(info_hash: &InfoHash, id: &PeerId) -> Vec<u8> {
    // No extensions: a peer then sends nothing but what Message has names for.
    [PROTOCOL, &[0; 8], info_hash, id].concat()
}

/// Reads the peer's handshake, [`HANDSHAKE`] bytes; `None` while it is incomplete. Refuses it at
/// the first byte that is wrong: another protocol may never send 68 bytes.
pub(crate) fn read_handshake(input: &[u8], ours: &InfoHash) -> Result<Option<PeerId>, Error> {
    let shown = input.len().min(PROTOCOL.len());
    if input[..shown] != PROTOCOL[..shown] {
        return Err("it does not speak BitTorrent".into());
    }
    let Some(info_hash) = input.get(28..48) else { return Ok(None) };
    if info_hash != ours {
        return Err("it answered with the info-hash of another torrent".into());
    }
    Ok(input.get(48..HANDSHAKE).map(|id| id.try_into().expect("48..68 are 20 bytes")))
}

/// Reads one message off the front of `input`, and returns its length; `None` while it is
/// incomplete. The torrent has so many `pieces`.
pub(crate) fn read_message(
    input: &[u8],
    pieces: usize,
) -> Result<Option<(Message<'_>, usize)>, Error> {
    let Some((prefix, rest)) = input.split_first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    // Checked before the message arrives: a peer cannot make the probe buffer 4 GiB.
    if length > longest_message(pieces) - PREFIX {
        return Err(format!("it announced a message of {length} bytes").into());
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let message = match body.split_first() {
        None => Message::KeepAlive,
        Some((0, [])) => Message::Choke,
        Some((1, [])) => Message::Unchoke,
        Some((4, piece)) => {
            let piece = piece.try_into().map_err(|_| "its `have` is not 4 bytes long")?;
            Message::Have(u32::from_be_bytes(piece))
        }
        Some((5, bits)) => Message::Bitfield(bits),
        Some((kind @ (14 | 15), [])) => Message::HaveEvery(*kind == 14),
        Some((0 | 1, _)) => return Err("its `choke` or `unchoke` has a payload".into()),
        Some(_) => Message::Other,
    };
    Ok(Some((message, PREFIX + length)))
}

/// Whether the message at the front of `input`, of which a part may be missing, tells of pieces.
pub(crate) fn begins_pieces(input: &[u8]) -> bool {
    matches!(input.get(PREFIX), Some(4 | 5 | 14))
}

/// The longest valid message, with its prefix: a large bitfield, or an unrequested block.
pub(crate) fn longest_message(pieces: usize) -> usize {
    PREFIX + (1 + pieces.div_ceil(8)).max(9 + 16 * 1024)
}

/// Which pieces a peer has.
#[derive(Debug)]
pub(crate) struct Pieces {
    total: usize,
    bits: Vec<u8>,
}

impl Pieces {
    pub(crate) fn none_of(total: usize) -> Pieces {
        Pieces { total, bits: vec![0; total.div_ceil(8)] }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn count(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    pub(crate) fn set_every(&mut self, has: bool) {
        let spare = self.spare();
        self.bits.fill(if has { 0xff } else { 0 });
        if let Some(last) = self.bits.last_mut() {
            *last <<= spare;
        }
    }

    /// How many bits of the last byte stand for no piece.
    fn spare(&self) -> usize {
        self.bits.len() * 8 - self.total
    }

    pub(crate) fn replace(&mut self, bits: &[u8]) -> Result<(), Error> {
        let expected = self.bits.len();
        if bits.len() != expected {
            return Err(format!("its bitfield has {} bytes, not {expected}", bits.len()).into());
        }
        if bits.last().is_some_and(|last| (last.trailing_zeros() as usize) < self.spare()) {
            return Err("its bitfield has pieces beyond the last".into());
        }
        self.bits.copy_from_slice(bits);
        Ok(())
    }

    pub(crate) fn add(&mut self, piece: u32) -> Result<(), Error> {
        let index = piece as usize;
        if index >= self.total {
            return Err(format!("it has piece {piece} of {}", self.total).into());
        }
        self.bits[index / 8] |= 0x80 >> (index % 8);
        Ok(())
    }
}

/// An id for this run, in the style of most clients: letters and version, then random digits.
pub(crate) fn new_peer_id() -> PeerId {
    let mut id = *b"-HE0100-000000000000";
    id[8..].fill_with(|| fastrand::digit(10) as u8);
    id
}

/// The client that a peer id names: `-TR3000-…` is `Transmission 3000`. Not escaped.
pub(crate) fn client(id: &PeerId) -> String {
    let [b'-', a, b, version @ .., b'-'] = &id[..8] else {
        return String::from_utf8_lossy(&id[..8]).into_owned();
    };
    let letters = [*a, *b];
    let name = match &letters {
        b"DE" => "Deluge",
        b"LT" => "libtorrent",
        b"TR" => "Transmission",
        b"UT" => "µTorrent",
        b"qB" => "qBittorrent",
        b"lt" => "rTorrent",
        other => &String::from_utf8_lossy(other),
    };
    format!("{name} {}", String::from_utf8_lossy(version))
}

/// How long a handshake is.
pub(crate) const HANDSHAKE: usize = 68;

/// "I want pieces of yours."
pub(crate) const INTERESTED: &[u8] = &[0, 0, 0, 1, 2];

/// What every handshake begins with.
const PROTOCOL: &[u8] = b"\x13BitTorrent protocol";

/// Length of the length in front of every message.
const PREFIX: usize = 4;
