//! What stands between the transport and hyper: it sees each byte before hyper does.
//!
//! hyper alone is too lenient a server for the open internet, and takes the end of a message
//! elsewhere than others do if the peer wants it to. So each message is read twice, here and in
//! hyper, and hyper only gets to see what both read alike:
//!
//! 1. A head passes when it is whole and in order. Until then its part is held here.
//! 2. A body passes as it comes. Its framing is looked at byte by byte, its data passed over.
//! 3. The first thing that is wrong is the end of what passes. Of a message that hyper has seen
//!    nothing of, it never does: for it the input ends behind the message before. It answers what
//!    it has, in order, then closes, and the transport sends the [`Refusal`] last. If hyper has
//!    seen the head already, it gets an error in place of the body's rest.
//!
//! This does no I/O and reads no clock. What passes, and why it ends, is the same wherever the
//! bytes are cut; only whether hyper has seen a head before its body is refused depends on it.
//!
//! In most reads nothing is held: the bytes are looked at in hyper's own buffer.

mod body;
mod head;
mod refusal;
mod target;
#[cfg(test)]
mod tests;

pub(super) use refusal::Refusal;

use self::body::Chunks;
use self::head::{Framing, Head};
use crate::server::Limits;

/// The guard of one connection.
#[derive(Debug, Default)]
pub(super) struct Guard {
    at: At,
    /// What hyper has not taken yet: first what may pass, then a part of a head. Without memory if
    /// there is nothing.
    held: Vec<u8>,
    /// How much of `held` may pass.
    checked: usize,
    /// How much of that hyper has taken.
    passed: usize,
    end: Option<End>,
}

/// Where in the messages the next byte stands that was not checked.
#[derive(Debug, Default)]
enum At {
    #[default]
    Head,
    /// In a body, so many bytes before its end.
    Sized(u64),
    /// In a box, as most bodies are not, and each connection would hold the room for it.
    Chunked(Box<Chunks>),
}

/// Why nothing more passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer has finished sending. In a body hyper knows what to make of that.
    Finished,
    /// The peer has finished sending, in the middle of a head.
    InHead,
    /// The next message is refused, and hyper knows nothing of it.
    Refused { refusal: Refusal, is_head: bool },
    /// The rest of the body is refused whose head hyper has seen.
    Broken(Refusal),
}

impl Guard {
    /// Looks at bytes in hyper's own memory. Returns how many at their front pass; the others are
    /// held, or not wanted. Nothing may be held yet.
    pub(super) fn admit(&mut self, bytes: &mut [u8], limits: &Limits) -> usize {
        debug_assert!(self.held.is_empty(), "{} bytes are held", self.held.len());
        let passes = self.check(bytes, limits);
        if self.end.is_none() {
            self.held.extend_from_slice(&bytes[passes..]);
        }
        passes
    }

    /// Takes bytes to hold, behind those that are held.
    pub(super) fn hold(&mut self, bytes: &[u8], limits: &Limits) {
        let seen = self.held.len() - self.checked;
        self.held.extend_from_slice(bytes);
        let part = &self.held[self.checked..];
        if seen > 0 && !head::may_end(part, seen) {
            if let Err(refused) = head::check_part(part, limits) {
                self.refuse_head(refused);
            }
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        self.checked += self.check(&mut held[self.checked..], limits);
        self.held = held;
    }

    /// The peer has finished sending.
    pub(super) fn finish(&mut self) {
        let part = &self.held[self.checked..];
        let end = if head::is_blank(part) { End::Finished } else { End::InHead };
        self.end.get_or_insert(end);
    }

    /// What is held and may pass.
    pub(super) fn ready(&self) -> &[u8] {
        &self.held[self.passed..self.checked]
    }

    /// So many of the bytes that were [`ready`](Guard::ready) have passed.
    pub(super) fn pass(&mut self, count: usize) {
        self.passed += count;
        debug_assert!(self.passed <= self.checked, "{} of {}", self.passed, self.checked);
        if self.passed < self.checked {
            return;
        }
        if self.checked == self.held.len() || self.end.is_some() {
            self.held = Vec::new();
        } else {
            self.held.drain(..self.checked);
        }
        (self.checked, self.passed) = (0, 0);
    }

    /// Why nothing passes behind what is [`ready`](Guard::ready).
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether anything is held.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// How much memory is held.
    pub(super) fn memory(&self) -> usize {
        self.held.capacity()
    }

    /// Whether hyper has all of the messages that came, and more may come.
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(self.at, At::Head) && self.held.is_empty() && self.end.is_none()
    }

    /// Looks at what follows on what was checked, and returns how much of it may pass.
    fn check(&mut self, bytes: &mut [u8], limits: &Limits) -> usize {
        // Where the message begins that the next byte belongs to, if it begins in `bytes`.
        let mut begun = None;
        let mut checked = 0;
        while checked < bytes.len() {
            let rest = &mut bytes[checked..];
            match &mut self.at {
                At::Head => match head::read(rest, limits) {
                    Ok(Some(Head { length, framing })) => {
                        begun = Some(checked);
                        checked += length;
                        self.at = At::behind_head(framing, limits);
                    }
                    Ok(None) => return checked,
                    Err(refused) => {
                        self.refuse_head(refused);
                        return checked;
                    }
                },
                At::Sized(left) => {
                    let length =
                        usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    checked += length;
                    *left -= length as u64;
                    if *left == 0 {
                        self.at = At::Head;
                    }
                }
                At::Chunked(chunks) => {
                    let body::Read { length, end } = chunks.read(rest, limits);
                    match (end, begun) {
                        (body::End::None, _) => {}
                        (body::End::Whole, _) => self.at = At::Head,
                        (body::End::Refused(refusal), Some(begun)) => {
                            self.end = Some(End::Refused { refusal, is_head: false });
                            return begun;
                        }
                        (body::End::Refused(refusal), None) => {
                            self.end = Some(End::Broken(refusal));
                            return checked + length;
                        }
                    }
                    checked += length;
                }
            }
        }
        checked
    }

    fn refuse_head(&mut self, refused: head::Refused) {
        let head::Refused { refusal, is_head } = refused;
        self.end = Some(End::Refused { refusal, is_head });
    }
}

impl At {
    fn behind_head(framing: Framing, limits: &Limits) -> At {
        match framing {
            Framing::Sized(0) => At::Head,
            Framing::Sized(length) => At::Sized(length),
            Framing::Chunked => At::Chunked(Box::new(Chunks::new(limits))),
        }
    }
}
