//! Numbers in arguments and values.

use std::str::{self, FromStr};

use super::Failure;

/// A whole number in the one way that Redis writes it.
pub(crate) fn integer(bytes: &[u8]) -> Result<i64, Failure> {
    let number = parse(bytes).ok_or(Failure::NotInteger)?;
    let canonical = matches!(bytes, [b'1'..=b'9', ..] | [b'0'] | [b'-', b'1'..=b'9', ..]);
    if canonical { Ok(number) } else { Err(Failure::NotInteger) }
}

/// How many of something.
pub(crate) fn count(bytes: &[u8]) -> Result<usize, Failure> {
    usize::try_from(integer(bytes)?)
        .map_err(|_| Failure::Other("ERR value is out of range, must be positive"))
}

/// A number of any kind, infinite ones included.
pub(crate) fn float(bytes: &[u8]) -> Result<f64, Failure> {
    let number: f64 = parse(bytes).ok_or(Failure::NotFloat)?;
    if number.is_nan() { Err(Failure::NotFloat) } else { Ok(number) }
}

/// What `start` and `stop`, counted from the end if negative, mean of so many elements.
pub(crate) fn range(start: i64, stop: i64, length: usize) -> std::ops::Range<usize> {
    let length = length as i64;
    let from_front = |index: i64| if index < 0 { index + length } else { index };
    let start = from_front(start).clamp(0, length);
    let end = from_front(stop).saturating_add(1).clamp(start, length);
    start as usize..end as usize
}

fn parse<T: FromStr>(bytes: &[u8]) -> Option<T> {
    str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_are_integers() {
        for (text, number) in [("0", 0), ("-7", -7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(integer(text.as_bytes()).unwrap(), number);
        }
        for text in ["", "-", "+1", "01", "-0", "1.0", " 1", "9223372036854775808"] {
            assert!(integer(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_count_from_both_ends_and_never_leave_the_list() {
        assert_eq!(range(0, -1, 5), 0..5);
        assert_eq!(range(-2, -1, 5), 3..5);
        assert_eq!(range(3, 1, 5), 3..3);
        assert_eq!(range(-100, 100, 5), 0..5);
        assert_eq!(range(7, 9, 5), 5..5);
        assert_eq!(range(i64::MIN, i64::MAX, 5), 0..5);
        assert_eq!(range(0, -1, 0), 0..0);
    }
}
