//! The guard between the transport and hyper: it checks each byte before hyper sees it.
//!
//! hyper alone is too lenient for the open internet: a peer can make it see the end of a message
//! elsewhere than other servers do. So each message is parsed twice, here and in hyper, and hyper only
//! sees what both parse alike:
//!
//! 1. A head passes when it is whole and valid. Until then its part is held here.
//! 2. A body passes as it comes. Its framing is checked byte by byte, its data is skipped.
//! 3. The first error ends what passes. If hyper has seen nothing of that message, it never does: its
//!    input ends behind the message before. It answers the earlier requests in order, then closes, and
//!    the transport sends the [`Refusal`] last. If hyper has seen the head already, it gets an error in
//!    place of the rest of the body.
//!
//! Behind a request that asks for an upgrade nothing passes until that is answered.
//!
//! The guard does no I/O and reads no clock. What passes, and why it ends, is the same wherever the
//! bytes are cut. Only whether hyper has seen a head before its body is refused depends on that.
//!
//! In most reads nothing is held: the bytes are checked in hyper's own buffer.

mod body;
mod head;
mod plain_head;
mod refusal;
mod target;
#[cfg(test)]
mod tests;

pub(super) use refusal::Refusal;

use self::body::ChunkedBody;
use self::head::{Framing, Head};
use crate::server::Limits;

/// The guard of one connection.
#[derive(Debug, Default)]
pub(super) struct Guard {
    at: At,
    /// Bytes that hyper has not taken yet: first those that may pass, then a part of a head. It
    /// allocates nothing while it is empty.
    held: Vec<u8>,
    /// How much of `held` may pass.
    checked: usize,
    /// How much of that hyper has taken.
    passed: usize,
    end: Option<InputEnd>,
    /// Whether the message that came last asks for another protocol behind it.
    asks_upgrade: bool,
}

/// Where in a message the next unchecked byte is.
#[derive(Debug, Default)]
enum At {
    #[default]
    Head,
    /// In a body, this many bytes before its end.
    Sized(u64),
    /// In a box: most bodies are not chunked, and each connection would take the memory.
    Chunked(Box<ChunkedBody>),
    /// Behind a request that asks for an upgrade. What follows is the other protocol or the next
    /// request, as it is answered.
    Undecided,
    /// In another protocol, of which nothing is checked.
    Upgraded,
}

/// Why no more input passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputEnd {
    /// The peer has finished sending. In a body, hyper handles that.
    Finished,
    /// The peer has finished sending, in the middle of a head.
    InHead,
    /// The next message is refused, and hyper has seen nothing of it.
    Refused { refusal: Refusal, is_head: bool },
    /// The rest of a body is refused; hyper has seen the head.
    Broken(Refusal),
}

impl Guard {
    /// Checks bytes in hyper's own buffer. Returns how many at their front pass; the others are held,
    /// or dropped behind an error. Called only while nothing is held.
    ///
    /// All are held if they end within a large body, and `holds_bulk` says so.
    #[inline]
    pub(super) fn admit(
        &mut self,
        bytes: &mut [u8],
        limits: &Limits,
        holds_bulk: impl FnOnce() -> bool,
    ) -> usize {
        debug_assert!(self.held.is_empty(), "{} bytes are held", self.held.len());
        let passes = self.check(bytes, limits);
        if self.awaits_bulk() && holds_bulk() {
            self.held.extend_from_slice(bytes);
            self.checked = passes;
            return 0;
        }
        if self.end.is_none() {
            self.held.extend_from_slice(&bytes[passes..]);
        }
        passes
    }

    /// Appends bytes to those that are held.
    pub(super) fn hold(&mut self, bytes: &[u8], limits: &Limits) {
        let seen = self.held.len() - self.checked;
        self.held.extend_from_slice(bytes);
        if matches!(self.at, At::Undecided) {
            return;
        }
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
        let end = if head::is_blank(part) { InputEnd::Finished } else { InputEnd::InHead };
        self.end.get_or_insert(end);
    }

    /// What is held and may pass.
    #[inline]
    pub(super) fn ready(&self) -> &[u8] {
        &self.held[self.passed..self.checked]
    }

    /// `count` of the [`ready`](Guard::ready) bytes have passed.
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

    /// Takes back bytes that have passed, to be passed again before all others.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.held.splice(self.passed..self.passed, bytes.iter().copied());
        self.checked += bytes.len();
    }

    /// Why nothing passes behind the [`ready`](Guard::ready) bytes.
    #[inline]
    pub(super) fn end(&self) -> Option<InputEnd> {
        self.end
    }

    /// Whether anything is held.
    #[inline]
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// The memory of the held bytes.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        self.held.capacity()
    }

    /// Whether hyper has all of the messages that came, and more may come.
    #[inline]
    pub(super) fn is_between_messages(&self) -> bool {
        let is_between = matches!(self.at, At::Head | At::Undecided);
        is_between && self.held.is_empty() && self.end.is_none()
    }

    /// Whether the message that came last asks for another protocol behind it.
    #[inline]
    pub(super) fn asks_upgrade(&self) -> bool {
        self.asks_upgrade
    }

    /// Whether much is still to come of the body of a known length that came last.
    pub(super) fn awaits_bulk(&self) -> bool {
        matches!(self.at, At::Sized(BULK_BODY_BYTES..))
    }

    /// Whether it is not known yet of what protocol the next byte is.
    #[inline]
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.at, At::Undecided)
    }

    /// The upgrade that was asked for is made: what is held and what follows passes as it is.
    pub(super) fn upgrade(&mut self) {
        self.at = At::Upgraded;
        self.checked = self.held.len();
    }

    /// The upgrade that was asked for is not made: what follows is the next request.
    pub(super) fn go_on(&mut self, limits: &Limits) {
        self.at = At::Head;
        let mut held = std::mem::take(&mut self.held);
        self.checked += self.check(&mut held[self.checked..], limits);
        self.held = held;
    }

    /// Checks the bytes that follow, and returns how many of them may pass.
    fn check(&mut self, bytes: &mut [u8], limits: &Limits) -> usize {
        // Where the current message begins, if that is in `bytes`.
        let mut begun = None;
        let mut checked = 0;
        while checked < bytes.len() {
            let rest = &mut bytes[checked..];
            match &mut self.at {
                At::Head => match read_head(rest, limits) {
                    Ok(Some(Head { length, framing, asks_upgrade })) => {
                        begun = Some(checked);
                        checked += length;
                        self.asks_upgrade = asks_upgrade;
                        self.at = At::behind_head(framing, asks_upgrade, limits);
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
                        self.at = At::behind_message(self.asks_upgrade);
                    }
                }
                At::Chunked(chunks) => {
                    let body::Read { length, end } = chunks.read(rest, limits);
                    match (end, begun) {
                        (body::End::None, _) => {}
                        (body::End::Whole, _) => self.at = At::behind_message(self.asks_upgrade),
                        (body::End::Refused(refusal), Some(begun)) => {
                            self.end = Some(InputEnd::Refused { refusal, is_head: false });
                            return begun;
                        }
                        (body::End::Refused(refusal), None) => {
                            self.end = Some(InputEnd::Broken(refusal));
                            return checked + length;
                        }
                    }
                    checked += length;
                }
                At::Undecided | At::Upgraded => return checked,
            }
        }
        checked
    }

    fn refuse_head(&mut self, refused: head::Refused) {
        let head::Refused { refusal, is_head } = refused;
        self.end = Some(InputEnd::Refused { refusal, is_head });
    }
}

/// Reads the head at the front of `bytes`: `None` if its end is not there yet.
fn read_head(bytes: &mut [u8], limits: &Limits) -> Result<Option<Head>, head::Refused> {
    match plain_head::read(bytes, limits) {
        None => head::read(bytes, limits),
        read => Ok(read),
    }
}

impl At {
    fn behind_head(framing: Framing, asks_upgrade: bool, limits: &Limits) -> At {
        match framing {
            Framing::Sized(0) => At::behind_message(asks_upgrade),
            Framing::Sized(length) => At::Sized(length),
            Framing::Chunked => At::Chunked(Box::new(ChunkedBody::new(limits))),
        }
    }

    fn behind_message(asks_upgrade: bool) -> At {
        if asks_upgrade { At::Undecided } else { At::Head }
    }
}

/// A body of which so much is still to come is read in large pieces.
const BULK_BODY_BYTES: u64 = 256 * 1024;
