//! Sizes, durations and numbers in options.

use std::time::Duration;

/// Reads a size in bytes: a whole number, with `k`, `M`, `G` or `T`, powers of 1024 if an `i`
/// follows, and with or without a `B`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit.trim_end_matches(['B', 'b']).to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1000,
        "m" => 1000_u64.pow(2),
        "g" => 1000_u64.pow(3),
        "t" => 1000_u64.pow(4),
        "ki" => 1024,
        "mi" => 1024_u64.pow(2),
        "gi" => 1024_u64.pow(3),
        "ti" => 1024_u64.pow(4),
        _ => return Err(SIZE_EXPECTED.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| SIZE_EXPECTED.to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "this is more than 16 EiB".to_owned())
}

/// Reads a size that fits into memory.
pub(crate) fn length(text: &str) -> Result<usize, String> {
    usize::try_from(size(text)?).map_err(|_| "this is more than an address space".to_owned())
}

/// Reads a number of at least 1.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number, at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// Reads a number of worker threads. Each is a stack and a queue, so a number beyond any machine is
/// refused.
pub(crate) fn workers(text: &str) -> Result<usize, String> {
    up_to(MOST_WORKERS, text)
}

/// Reads a number of header lines, at most as many as the parser has room for.
pub(crate) fn header_lines(text: &str) -> Result<usize, String> {
    up_to(heist::server::Limits::MOST_HEADERS, text)
}

fn up_to(most: usize, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from 1 to {most}")),
    }
}

/// Reads a number of bytes a second, 0 for no bound.
pub(crate) fn rate(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected a whole number of bytes a second, or 0 for no bound".into())
}

/// Reads a size that is not 0 and fits into memory.
pub(crate) fn room(text: &str) -> Result<usize, String> {
    match length(text)? {
        0 => Err("0 would leave no room for any request".to_owned()),
        length => Ok(length),
    }
}

/// Reads a duration that is not 0: with 0, each connection would end as it begins.
pub(crate) fn patience(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => {
            Err("it would end each connection at once; it cannot be switched off".to_owned())
        }
        time => Ok(time),
    }
}

/// Reads a duration: one or more whole numbers, each with `ms`, `s`, `m` or `h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || DURATION_EXPECTED.to_owned();
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let (number, tail) = split(rest);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let number: u64 = number.parse().map_err(|_| expected())?;
        let part = match unit.trim() {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => number.checked_mul(60).map(Duration::from_secs),
            "h" => number.checked_mul(3600).map(Duration::from_secs),
            _ => None,
        };
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(expected)?;
        rest = next;
    }
    if text.is_empty() { Err(expected()) } else { Ok(total) }
}

/// Splits the leading digits from the rest.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// The highest number of worker threads.
pub(crate) const MOST_WORKERS: usize = 1024;

const SIZE_EXPECTED: &str = "expected a size such as 512, 64KiB, 10MB or 1GiB";
const DURATION_EXPECTED: &str = "expected a time such as 500ms, 30s, 2m or 1m30s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_know_both_kinds_of_thousand() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("64k"), Ok(64_000));
        assert_eq!(size("64 KiB"), Ok(65_536));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for bad in ["", "-1", "GiB", "1.5G", "1XB", "99999999999TiB"] {
            assert!(size(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn what_must_not_be_zero_is_refused_with_a_reason() {
        assert_eq!(workers("1024"), Ok(1024));
        for bad in ["0", "1025", "-1", "x", ""] {
            assert!(workers(bad).unwrap_err().contains("from 1 to 1024"), "{bad}");
        }
        assert_eq!(rate("0"), Ok(0));
        assert!(rate("-1").unwrap_err().contains("0 for no bound"));
        assert_eq!(room("1k"), Ok(1000));
        assert!(room("0").unwrap_err().contains("no room"));
        assert_eq!(patience("1ms"), Ok(Duration::from_millis(1)));
        assert!(patience("0s").unwrap_err().contains("switched off"));
    }

    #[test]
    fn durations_add_up_and_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for bad in ["", "30", "s", "1d", "-1s", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad} was accepted");
        }
    }
}
