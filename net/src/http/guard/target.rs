//! Request targets and `Host`: RFC 9112 3.2, RFC 3986 3.2.

use std::net::Ipv6Addr;

use hyper::Uri;

use super::refusal::Refusal;

/// Checks that `target` has the form that `method` asks for.
pub(super) fn check(method: &str, target: &str) -> Result<(), Refusal> {
    let is_valid = match method {
        // Its target is an authority.
        "CONNECT" => is_authority_with_port(target.as_bytes()),
        "OPTIONS" if target == "*" => true,
        _ if target.starts_with('/') => is_path(target.as_bytes()),
        _ => is_absolute(target),
    };
    match (is_valid, method) {
        (false, _) => Err(INVALID),
        // It asks for a tunnel, of which no resource here is the end: 501, not 405 (RFC 9110 9.3.6,
        // 15.6.2).
        (true, "CONNECT") => Err(Refusal::not_implemented("this server makes no tunnels")),
        (true, _) => Ok(()),
    }
}

const INVALID: Refusal = Refusal::malformed("the request target is invalid");

/// Whether hyper takes `bytes` for a path with a query. It also takes a fragment, and drops it; a
/// request target has none. `httparse` has checked that it is UTF-8 without control characters.
fn is_path(bytes: &[u8]) -> bool {
    let mut bytes = bytes.iter();
    for &byte in &mut bytes {
        match byte {
            b'?' => break,
            b'#' | b'<' | b'>' | b'`' => return false,
            _ => {}
        }
    }
    bytes.all(|byte| !matches!(byte, b'"' | b'#' | b'<' | b'>'))
}

/// Whether `target` is a URI with a scheme and an authority. Rare, so hyper parses it.
fn is_absolute(target: &str) -> bool {
    let Ok(uri) = target.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let host = authority.as_str().as_bytes();
    uri.scheme().is_some() && !target.contains('#') && !host.is_empty() && is_host(host)
}

fn is_authority_with_port(bytes: &[u8]) -> bool {
    let has_port = bytes.iter().rposition(|&byte| byte == b':').is_some_and(|colon| {
        colon > 0 && bytes.len() > colon + 1 && bytes[colon + 1..].iter().all(u8::is_ascii_digit)
    });
    has_port && is_host(bytes)
}

/// Whether `value` is a host with or without a port. An empty one says that the target has no
/// authority; a port without a host says nothing.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (is_valid, rest) = match value {
        [] => return true,
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
            (is_ip_literal(&rest[..end]), &rest[end + 1..])
        }
        _ => {
            let first = |is: fn(u8) -> bool| value.iter().position(|&byte| is(byte));
            let plain = first(|byte| !is_unreserved_or_delimiter(byte)).unwrap_or(value.len());
            let end = match value.get(plain) {
                None | Some(b':') => plain,
                Some(_) => first(|byte| byte == b':').unwrap_or(value.len()),
            };
            (end > 0 && (end == plain || is_name(&value[..end])), &value[end..])
        }
    };
    is_valid
        && match rest {
            [] => true,
            [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

/// `reg-name`, which IPv4 addresses are, too.
fn is_name(mut bytes: &[u8]) -> bool {
    while let [first, rest @ ..] = bytes {
        bytes = match first {
            b'%' => match rest {
                [high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest
                }
                _ => return false,
            },
            byte if is_unreserved_or_delimiter(*byte) => rest,
            _ => return false,
        };
    }
    true
}

/// The part between the brackets: an IPv6 address, or one of a later version.
fn is_ip_literal(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Some(future) = text.strip_prefix(['v', 'V']) {
        return future.split_once('.').is_some_and(|(version, address)| {
            let is_address = |byte| byte == b':' || is_unreserved_or_delimiter(byte);
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(is_address)
        });
    }
    text.parse::<Ipv6Addr>().is_ok()
}

fn is_unreserved_or_delimiter(byte: u8) -> bool {
    UNRESERVED_OR_DELIMITER[usize::from(byte)]
}

const UNRESERVED_OR_DELIMITER: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+,;=");

/// A table of letters, digits and `others`: one lookup a byte, in a part of every request.
pub(super) const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for host in [
            "",
            "a",
            "a.b-c_d~e",
            "127.0.0.1",
            "a:80",
            "a:",
            "[::1]",
            "[::1]:80",
            "[v1.a:b]",
            "a%20b",
            "xn--bcher-kva.example",
            "a,b",
            "A.B.",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            ":80", "a b", "a/b", "u@a", "a:1x", "a:b:c", "[::1", "::1", "[::1]x", "[]", "[v.a]",
            "[v1.]", "<script>", "a%2", "a%zz", "a\"b", "a#b", "a?b", "a\\b", "a|b", "a^b",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        assert!(!is_host(b"\xff\xfe"));
    }

    #[test]
    fn targets_have_the_form_that_their_method_asks_for() {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/a/b?c=d&e"),
            ("GET", "/?"),
            ("GET", "/a%20b"),
            ("GET", "//a"),
            ("GET", "http://a/"),
            ("GET", "http://a:80/b?c"),
            ("GET", "https://[::1]/"),
            ("GET", "http://a"),
            ("OPTIONS", "*"),
            ("OPTIONS", "/"),
        ] {
            assert_eq!(check(method, target), Ok(()), "{method} {target}");
        }
        for (method, target) in [
            ("GET", "*"),
            ("GET", "a"),
            ("GET", "a:80"),
            ("GET", "/a#b"),
            ("GET", "/<a>"),
            ("GET", "http://"),
            ("GET", "http:///a"),
            ("GET", "http://u@a/"),
            ("GET", "http:a"),
            ("GET", "?a"),
            ("GET", "http://a/#b"),
            ("CONNECT", "/"),
            ("CONNECT", "a"),
            ("CONNECT", "a:"),
            ("CONNECT", ":80"),
            ("OPTIONS", "**"),
            ("GET", "http://a b/"),
        ] {
            assert_eq!(check(method, target), Err(INVALID), "{method} {target}");
        }
        for target in ["a:443", "[::1]:443", "127.0.0.1:1"] {
            assert_eq!(check("CONNECT", target).unwrap_err().status, 501, "{target}");
        }
    }
}
