//! Plaintext of several buffers as few records.

use std::io::IoSlice;

use super::records::{RECORD, SendError};
use super::scratch;
use super::session::Session;

/// Encrypts the front of `buffers`, up to [`MOST`] bytes, and puts the records into `output` behind its
/// first `filled` bytes. Returns how much plaintext that was, and where the records end.
///
/// A buffer that fills records by itself is not copied; smaller ones are gathered.
pub(super) fn encrypt(
    session: &mut Session,
    buffers: &[IoSlice<'_>],
    output: &mut Vec<u8>,
    mut filled: usize,
    gathered: &mut Vec<u8>,
) -> Result<(usize, usize), SendError> {
    let mut cursor = Cursor { buffers, offset: 0 };
    let mut taken = 0;
    while taken < MOST {
        let room = MOST - taken;
        let plaintext = match cursor.whole_records(room) {
            Some(whole) => whole,
            None => {
                let gathered = scratch::front(gathered, RECORD.min(room));
                let count = cursor.gather(gathered);
                &gathered[..count]
            }
        };
        if plaintext.is_empty() {
            break;
        }
        taken += plaintext.len();
        match session.encrypt(plaintext, output, filled) {
            Ok(end) => filled = end,
            Err(error) => return Err(error),
        }
    }
    Ok((taken, filled))
}

/// A place in a list of buffers.
struct Cursor<'b, 'a> {
    buffers: &'b [IoSlice<'a>],
    /// In the first of them.
    offset: usize,
}

impl<'b> Cursor<'b, '_> {
    /// What is left of the first buffer that is not at its end.
    fn front(&mut self) -> &'b [u8] {
        while let [first, rest @ ..] = self.buffers {
            if self.offset < first.len() {
                return &first[self.offset..];
            }
            (self.buffers, self.offset) = (rest, 0);
        }
        &[]
    }

    /// The front of the buffer that is next, at most `room` bytes, if no other buffer could join its
    /// records: it fills them, or nothing comes behind it.
    fn whole_records(&mut self, room: usize) -> Option<&'b [u8]> {
        let front = self.front();
        let is_last = self.buffers.get(1..).is_none_or(|rest| rest.iter().all(|it| it.is_empty()));
        let front = &front[..front.len().min(room)];
        let length = if is_last { front.len() } else { front.len() / RECORD * RECORD };
        if length == 0 && !is_last {
            return None;
        }
        self.offset += length;
        Some(&front[..length])
    }

    /// Fills `gathered` from as many buffers as it takes, and returns how much that is.
    fn gather(&mut self, gathered: &mut [u8]) -> usize {
        let mut count = 0;
        while count < gathered.len() {
            let front = self.front();
            if front.is_empty() {
                break;
            }
            let length = front.len().min(gathered.len() - count);
            gathered[count..count + length].copy_from_slice(&front[..length]);
            self.offset += length;
            count += length;
        }
        count
    }
}

/// The most plaintext that one write takes: so many bytes wait for a peer that takes nothing.
const MOST: usize = 2 * RECORD;
