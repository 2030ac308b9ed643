//! Requests that are too long to wait for: taken in pieces, as they come.
//!
//! The engine offers a message from its first byte, and offers it again from there when more has
//! come. For a long string that would copy and scan the same bytes over and over. So a protocol with
//! long messages takes them in pieces.

use super::request::{Malformed, bulk_length, count};
use crate::shared::Charge;

/// A request of which a part has come.
#[derive(Debug)]
pub(crate) struct LongRequest {
    args: Vec<Vec<u8>>,
    /// Strings that have not begun yet; `None` before their number is known.
    to_come: Option<usize>,
    /// Missing bytes of the last string, its two trailing bytes included; 0 between strings.
    missing: usize,
    charge: Charge,
}

impl LongRequest {
    /// `charge` pays for the strings.
    pub(crate) fn new(charge: Charge) -> LongRequest {
        LongRequest { args: Vec::new(), to_come: None, missing: 0, charge }
    }

    /// Takes what belongs to this request off the front of `input` and returns its length.
    pub(crate) fn take(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        let mut taken = 0;
        while taken < input.len() && !self.is_complete() {
            let step = self.step(&input[taken..])?;
            if step == 0 {
                break;
            }
            taken += step;
        }
        Ok(taken)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.to_come == Some(0) && self.missing == 0
    }

    pub(crate) fn args(&self) -> Vec<&[u8]> {
        self.args.iter().map(Vec::as_slice).collect()
    }

    /// Takes one line or a piece of a string; 0 if the line is incomplete.
    fn step(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        match (self.to_come, self.missing) {
            (None, _) => {
                let Some((count, line)) = count(input)? else { return Ok(0) };
                self.to_come = Some(count);
                Ok(line)
            }
            (Some(to_come), 0) => {
                let Some((length, line)) = bulk_length(input)? else { return Ok(0) };
                self.grow(ARG_SIZE)?;
                self.args.push(Vec::new());
                (self.to_come, self.missing) = (Some(to_come - 1), length + 2);
                Ok(line)
            }
            (Some(_), missing) => {
                let piece = input.len().min(missing);
                // The last two bytes are not part of the string.
                let text = piece.min(missing.saturating_sub(2));
                self.grow(text)?;
                let string = self.args.last_mut().expect("a string is begun before it is taken");
                string.extend_from_slice(&input[..text]);
                self.missing = missing - piece;
                Ok(piece)
            }
        }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.charge.grow(bytes).map_err(|_| Malformed::Memory)
    }
}

/// About the memory that a string takes beside its bytes.
const ARG_SIZE: usize = 48;
