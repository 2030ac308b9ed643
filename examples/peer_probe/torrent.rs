//! The contents of a `.torrent` file (BEP 3 and 12).

use bendy::decoding::{Decoder, Object};
use heist::protocol::Error;
use sha1::{Digest, Sha1};

/// The name of a torrent among peers: the SHA-1 of its info dictionary.
pub(crate) type InfoHash = [u8; 20];

/// As much of a torrent as a probe needs.
#[derive(Debug)]
pub(crate) struct Torrent {
    pub(crate) name: String,
    pub(crate) info_hash: InfoHash,
    /// How many pieces it is cut into.
    pub(crate) pieces: usize,
    pub(crate) piece_length: u64,
    /// Every tracker once, at most [`MAX_TRACKERS`].
    pub(crate) trackers: Vec<String>,
}

impl Torrent {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Torrent, Error> {
        let mut decoder = Decoder::new(bytes).with_max_depth(DEPTH);
        let Ok(Some(Object::Dict(mut root))) = decoder.next_object() else {
            return Err("it is no torrent: not a bencoded dictionary".into());
        };
        let mut info = None;
        let mut trackers = Vec::new();
        while let Some((key, value)) = root.next_pair()? {
            match (key, value) {
                (b"announce", Object::Bytes(url)) => add_tracker(&mut trackers, url),
                (b"announce-list", Object::List(mut tiers)) => {
                    while let Some(Object::List(mut tier)) = tiers.next_object()? {
                        while let Some(Object::Bytes(url)) = tier.next_object()? {
                            add_tracker(&mut trackers, url);
                        }
                    }
                }
                // The hash is of these bytes as they are, so nothing is decoded and encoded again.
                (b"info", Object::Dict(value)) => info = Some(value.into_raw()?),
                _ => {}
            }
        }
        Torrent::with_info(info.ok_or("it has no info dictionary")?, trackers)
    }

    fn with_info(raw: &[u8], trackers: Vec<String>) -> Result<Torrent, Error> {
        let mut decoder = Decoder::new(raw).with_max_depth(DEPTH);
        let Some(Object::Dict(mut info)) = decoder.next_object()? else {
            return Err("its info is no dictionary".into());
        };
        let (mut name, mut hashes, mut piece_length) = (String::new(), &b""[..], 0);
        while let Some((key, value)) = info.next_pair()? {
            match (key, value) {
                (b"name", Object::Bytes(text)) => name = String::from_utf8_lossy(text).into(),
                (b"pieces", Object::Bytes(text)) => hashes = text,
                (b"piece length", Object::Integer(digits)) => piece_length = digits.parse()?,
                _ => {}
            }
        }
        if hashes.is_empty() || hashes.len() % 20 != 0 {
            return Err("it has no list of pieces as in version 1 of BitTorrent".into());
        }
        let info_hash = Sha1::digest(raw).into();
        Ok(Torrent { name, info_hash, pieces: hashes.len() / 20, piece_length, trackers })
    }
}

fn add_tracker(trackers: &mut Vec<String>, url: &[u8]) {
    let url = String::from_utf8_lossy(url).into_owned();
    if trackers.len() < MAX_TRACKERS && !trackers.contains(&url) {
        trackers.push(url);
    }
}

/// How many trackers of a torrent are asked.
const MAX_TRACKERS: usize = 50;

/// How deep untrusted bencode, of a file or a tracker, may be nested. Each level takes stack.
pub(crate) const DEPTH: usize = 8;
