//! Requests that are too long to wait for: taken in pieces, as they come.
//!
//! The engine offers a message whole, from its first byte, and offers it again from there when more
//! has come. For a string of 8 MiB that would be 8 MiB of input kept, copied and looked at over
//! and over. So a protocol with long messages takes them in pieces, and this is how.

use super::request::{Malformed, bulk_length, count};

/// A request of which a part has come.
#[derive(Debug, Default)]
pub(crate) struct LongRequest {
    args: Vec<Vec<u8>>,
    /// Strings that have not begun yet; `None` before their number is known.
    to_come: Option<usize>,
    /// How much of the last of `args` is missing; its line end too while this is not `None`.
    missing: Option<usize>,
    /// Bytes in `args`.
    size: usize,
}

impl LongRequest {
    /// Takes what belongs to this request off the front of `input` and returns how much that was.
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
        self.to_come == Some(0) && self.missing.is_none()
    }

    pub(crate) fn args(&self) -> impl Iterator<Item = &[u8]> {
        self.args.iter().map(Vec::as_slice)
    }

    /// Takes one line or a piece of a string; 0 if there is not enough for that.
    fn step(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        match (self.to_come, self.missing) {
            (None, _) => self.begin(input),
            (Some(_), Some(0)) => self.end_string(input),
            (Some(_), Some(missing)) => self.take_string(input, missing),
            (Some(to_come), None) => self.begin_string(input, to_come),
        }
    }

    fn begin(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        let Some((count, line)) = count(input)? else { return Ok(0) };
        self.to_come = Some(count);
        Ok(line)
    }

    fn begin_string(&mut self, input: &[u8], to_come: usize) -> Result<usize, Malformed> {
        let Some((length, line)) = bulk_length(input)? else { return Ok(0) };
        self.size += length;
        if self.size > MAX_REQUEST {
            return Err(Malformed::TooLong);
        }
        self.to_come = Some(to_come - 1);
        self.missing = Some(length);
        self.args.push(Vec::new());
        Ok(line)
    }

    fn take_string(&mut self, input: &[u8], missing: usize) -> Result<usize, Malformed> {
        let piece = &input[..input.len().min(missing)];
        let string = self.args.last_mut().expect("a string is begun before it is taken");
        string.extend_from_slice(piece);
        self.missing = Some(missing - piece.len());
        Ok(piece.len())
    }

    fn end_string(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        match input.get(..2) {
            None => Ok(0),
            Some(b"\r\n") => {
                self.missing = None;
                Ok(2)
            }
            Some(_) => Err(Malformed::NoEnd),
        }
    }
}

/// The most bytes in the strings of a request.
const MAX_REQUEST: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\nva\r\nl\r\n*1";

    #[test]
    fn same_strings_come_out_wherever_the_input_is_cut() {
        for cut in 0..REQUEST.len() {
            let mut long = LongRequest::default();
            let first = long.take(&REQUEST[..cut]).unwrap();
            let second = long.take(&REQUEST[first..]).unwrap();
            assert!(long.is_complete(), "{cut}");
            assert_eq!(first + second, REQUEST.len() - 2, "{cut}");
            assert!(long.args().eq([&b"SET"[..], b"", b"va\r\nl"]));
        }
    }

    #[test]
    fn sum_of_the_strings_is_bounded() {
        let mut long = LongRequest::default();
        long.take(b"*6\r\n").unwrap();
        let string = [b"$8388608\r\n".to_vec(), vec![b'x'; 8 << 20], b"\r\n".to_vec()].concat();
        for _ in 0..4 {
            assert_eq!(long.take(&string), Ok(string.len()));
        }
        assert_eq!(long.take(b"$1\r\nx\r\n"), Err(Malformed::TooLong));
    }
}
