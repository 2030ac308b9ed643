//! Floating-point numbers, read and printed as C does it, and Redis with it: scores are doubles,
//! INCRBYFLOAT adds long doubles of 80 bits.

use std::cmp::Ordering;

use rustc_apfloat::ieee::{Double, X87DoubleExtended};
use rustc_apfloat::{Float, Round};

/// Reads a double.
pub(super) fn double(text: &[u8]) -> Option<f64> {
    let short = std::str::from_utf8(text).ok().filter(|text| text.len() < SHORT);
    match short.map(str::parse::<f64>) {
        // Rust reads as C does, but for hexadecimal numbers, and it refuses no number for its size.
        Some(Ok(value)) if value.is_finite() && value != 0.0 => Some(value),
        _ => {
            let value = parse::<Double>(text, DOUBLE_DIGITS)?;
            Some(f64::from_bits(value.to_bits() as u64))
        }
    }
}

/// Reads what C's `strtod` takes whole, infinite values included. NaN, and numbers that are too
/// large or too small, are refused. Beyond `most` digits matters only whether there are any.
fn parse<F: Float>(text: &[u8], most: usize) -> Option<F> {
    let text = std::str::from_utf8(text).ok()?;
    let sign = |value: F| if text.starts_with('-') { -value } else { value };
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    if magnitude == "inf" || magnitude == "infinity" {
        return Some(sign(F::INFINITY));
    }
    let (prefix, digits, marker, radix) = match magnitude.strip_prefix("0x") {
        Some(digits) => ("0x", digits, 'p', 16),
        None => ("", &*magnitude, 'e', 10),
    };
    let (mantissa, exponent) = digits.split_once(marker).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let are_digits =
        |text: &str, radix| !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
    if !(are_digits(&digits, radix) && are_digits(power, 10)) {
        return None;
    }
    let Some(first) = digits.find(|digit| digit != '0') else { return Some(sign(F::ZERO)) };
    // As 0.ddd, so that the exponent alone says how large it is.
    let shift = (whole.len() as i64 - first as i64) * if radix == 16 { 4 } else { 1 };
    let scale = exponent.parse::<i64>().ok()?.checked_add(shift)?;
    if scale.abs() > LARGEST_EXPONENT {
        return None;
    }
    let (kept, cut) = digits[first..].split_at((digits.len() - first).min(most));
    let rest = if cut.bytes().any(|digit| digit != b'0') { "1" } else { "" };
    let text = format!("{prefix}0.{kept}{rest}{marker}{scale}");
    let value = F::from_str_r(&text, Round::NearestTiesToEven).ok()?.value;
    (value.is_finite() && !value.is_zero()).then(|| sign(value))
}

/// Prints as C's `%.17g`.
pub(super) fn print(value: f64) -> String {
    if !value.is_finite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
    if (-4..17).contains(&exponent) {
        return trim(&format!("{value:.*}", (16 - exponent) as usize)).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

#[derive(Clone, Copy)]
pub(super) struct LongDouble(X87DoubleExtended);

impl LongDouble {
    pub(super) const ZERO: LongDouble = LongDouble(X87DoubleExtended::ZERO);

    pub(super) fn parse(text: &[u8]) -> Option<LongDouble> {
        (text.len() < MAX_LONG_DOUBLE).then(|| parse(text, MAX_LONG_DOUBLE))?.map(LongDouble)
    }

    /// The sum, printed as C's `%.17Lf` without trailing zeros, if it is finite.
    pub(super) fn print_sum(self, other: LongDouble) -> Option<String> {
        let sum = (self.0 + other.0).value;
        // Its thousands of digits would be rounded away, which takes milliseconds.
        if sum.is_finite() && sum.ilogb() < LEAST_EXPONENT {
            return Some("0".to_owned());
        }
        // Every digit of the value, of which there are fewer than 20,000.
        let exact = sum.is_finite().then(|| format!("{sum:20000.20000}"))?;
        let rounded = round(&exact, 17);
        let text = trim(&rounded);
        Some(if text == "-0" { "0".to_owned() } else { text.to_owned() })
    }
}

/// Rounds a decimal number to so many decimals, ties to even.
fn round(exact: &str, decimals: usize) -> String {
    let (whole, fraction) = exact.split_once('.').unwrap_or((exact, ""));
    let Some((kept, cut)) = fraction.split_at_checked(decimals) else { return exact.to_owned() };
    let mut digits = format!("{whole}{kept}").into_bytes();
    let half = cut.trim_end_matches('0').cmp("5");
    let is_odd = digits.last().is_some_and(|digit| digit % 2 == 1);
    if half == Ordering::Greater || half == Ordering::Equal && is_odd {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let front = digits.len() - nines;
        let (front, nines) = digits.split_at_mut(front);
        nines.fill(b'0');
        match front.last_mut() {
            Some(digit) if *digit != b'-' => *digit += 1,
            _ => digits.insert(usize::from(exact.starts_with('-')), b'1'),
        }
    }
    let mut text = String::from_utf8(digits).expect("digits are ASCII");
    text.insert(text.len() - decimals, '.');
    text
}

/// Without zeros at the end of the decimals.
fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// What is below 2 to this power is 0 when it is rounded to 17 decimals.
const LEAST_EXPONENT: i32 = -60;

/// The length at which Redis takes no text for a long double.
const MAX_LONG_DOUBLE: usize = 5 * 1024;

/// Shorter than this, a number has no exponent that Rust reads wrong, and takes no time.
const SHORT: usize = 64;

/// What lies in the middle between two doubles has at most 767 digits.
const DOUBLE_DIGITS: usize = 800;

/// More than any long double has, to the base 2.
const LARGEST_EXPONENT: i64 = 20_000;
