//! The name of a registration: a slot, and the generation of the slot's owner.
//!
//! The kernel returns a token with each event, perhaps long after its source is gone. A pointer
//! would dangle then; a slot with a generation can only turn out to be stale.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("heist-reactor packs slot and generation into one 64-bit token");

/// Slot in the lower half, generation in the upper one; the shifts never leave this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

impl Token {
    /// The event means [`Queue::wake`](crate::Queue::wake); no source has this slot.
    pub(crate) const WAKE: Token = Token::reserved(0);

    pub(crate) const fn new(slot: u32, generation: u32) -> Token {
        Token((generation as u64) << 32 | slot as u64)
    }

    /// A token for a signal of the back end; no source has its slot.
    pub(crate) const fn reserved(number: u32) -> Token {
        Token::new(RESERVED, number)
    }

    /// Whether the token is reserved: one comparison for each event, however many are reserved.
    pub(crate) const fn is_reserved(self) -> bool {
        self.slot() == RESERVED
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// As the kernel stores it.
    pub(crate) const fn into_raw(self) -> u64 {
        self.0
    }

    /// As the kernel returned it.
    pub(crate) const fn from_raw(raw: u64) -> Token {
        Token(raw)
    }
}

impl From<Token> for mio::Token {
    fn from(token: Token) -> mio::Token {
        mio::Token(token.into_raw() as usize)
    }
}

/// The table of sources ends far below this slot.
const RESERVED: u32 = u32::MAX;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::Token;

    #[test]
    fn halves_do_not_leak_into_each_other() {
        for (slot, generation) in [(0, 0), (7, u32::MAX), (u32::MAX - 1, 1), (1 << 31, 1 << 31)] {
            let token = Token::from_raw(Token::new(slot, generation).into_raw());
            assert_eq!((token.slot(), token.generation()), (slot, generation));
        }
    }
}
