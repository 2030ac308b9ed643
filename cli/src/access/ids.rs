//! Ids of a request: from its client, from a trace, or generated.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// The header with the id of a request, in requests and answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of the request: the client's, or a generated one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    well_formed_id(headers).unwrap_or_else(|| format!("{:032x}", fastrand::u128(..)))
}

/// The client's id of the request, if there is one that is short and has only characters that are
/// part of a word for logs and shells.
pub(crate) fn well_formed_id(headers: &HeaderMap) -> Option<String> {
    let id = only(headers, &REQUEST_ID)?.to_str().ok()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:/+=@".contains(&byte);
    let well_formed = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(fits);
    well_formed.then(|| id.to_owned())
}

/// The position of the request in a trace, if it is valid by the W3C's Trace Context. Fields after
/// the four of version 00 are dropped.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = only(headers, &TRACEPARENT)?.to_str().ok()?;
    let (known, rest) = text.split_at_checked(55)?;
    let fields: Vec<_> = known.split('-').collect();
    let [version, trace, parent, flags] = fields[..] else { return None };
    let hex = |field: &str, length| {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        field.len() == length && field.bytes().all(digit)
    };
    let shape = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let all_zero = |field: &str| field.bytes().all(|byte| byte == b'0');
    let is_valid = version != "ff" && !all_zero(trace) && !all_zero(parent);
    let ends = rest.is_empty() || version != "00" && rest.starts_with('-');
    (shape && is_valid && ends).then(|| known.to_owned())
}

/// The value of a header that occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

const LONGEST_ID: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn well_formed_ids_are_taken_and_others_replaced() {
        let long = "x".repeat(128);
        for good in ["a", "7f3c-11", "k8s:ns/pod+1=", &long] {
            assert_eq!(request_id(&headers(&REQUEST_ID, &[good])), good);
        }
        let longer = "x".repeat(129);
        for bad in ["", "a b", "a\"b", "a\tb", "ä", &longer] {
            let made = request_id(&headers(&REQUEST_ID, &[bad]));
            assert!(made.len() == 32 && made != bad, "{bad}: {made}");
        }
        assert_eq!(well_formed_id(&headers(&REQUEST_ID, &["a", "b"])), None);
        let none = HeaderMap::new();
        assert_ne!(request_id(&none), request_id(&none));
    }

    #[test]
    fn traceparent_is_passed_on_only_if_it_is_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed = |text: &str| traceparent(&headers(&TRACEPARENT, &[text]));
        assert_eq!(parsed(good).as_deref(), Some(good));
        let later = good.replacen("00", "cc", 1);
        assert_eq!(parsed(&format!("{later}-more")).as_deref(), Some(later.as_str()));
        assert_eq!(parsed(&later).as_deref(), Some(later.as_str()));
        for bad in [
            "",
            &good[..54],
            &format!("{good}-more"),
            &format!("{later}more"),
            &good.replacen("00", "ff", 1),
            &good.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
        assert_eq!(traceparent(&headers(&TRACEPARENT, &[good, good])), None);
    }
}
