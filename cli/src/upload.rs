//! Receiving an upload: counted and hashed as it arrives, not kept.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use heist::http::{Body, BodyError};
use heist::time::Instant;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

/// What was uploaded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) bytes: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
    pub(crate) took: Duration,
}

/// Reads `body` to its end, one frame at a time, whatever its length.
///
/// The worker hashes in slices, and yields after each. Measured: a slice takes 9 µs with the CPU's
/// SHA instructions and 150 µs without them, the way to the blocking pool and back 16 to 27 µs. So
/// the pool would cost more than it saves where uploads are fast, and add a queue to wait in.
pub(crate) async fn receive(mut body: Body) -> Result<Receipt, BodyError> {
    let start = Instant::now();
    let mut digest = Slices::default();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            digest.add(&data).await;
        }
    }
    Ok(digest.receipt(start.elapsed()))
}

/// A hash that yields between slices.
#[derive(Default)]
struct Slices {
    hash: Sha256,
    bytes: u64,
    /// Bytes hashed since the last yield.
    since_yield: usize,
}

impl Slices {
    async fn add(&mut self, data: &Bytes) {
        for slice in data.chunks(SLICE) {
            if self.since_yield + slice.len() > SLICE {
                self.since_yield = 0;
                heist::yield_now().await;
            }
            self.hash.update(slice);
            self.bytes += slice.len() as u64;
            self.since_yield += slice.len();
        }
    }

    fn receipt(self, took: Duration) -> Receipt {
        let mut sha256 = String::with_capacity(64);
        for byte in self.hash.finalize() {
            // Writing into a string cannot fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Receipt { bytes: self.bytes, sha256, took }
    }
}

/// The most that is hashed without a yield, in bytes.
const SLICE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_does_not_depend_on_how_the_body_was_cut() {
        let runtime = heist::Builder::new().workers(1).start().unwrap();
        let whole: Vec<u8> = (0..3 * SLICE + 7).map(|index| index as u8).collect();
        let receipts = [1000, SLICE, SLICE + 1, whole.len()].map(|size| {
            let mut digest = Slices::default();
            for part in whole.chunks(size) {
                runtime.block_on(digest.add(&Bytes::copy_from_slice(part)));
            }
            digest.receipt(Duration::ZERO)
        });
        assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
        assert_eq!(receipts[0].bytes, whole.len() as u64);
    }

    #[test]
    fn empty_upload_has_the_known_hash() {
        let receipt = Slices::default().receipt(Duration::ZERO);
        assert!(receipt.sha256.starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
