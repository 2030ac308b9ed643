//! Heads of requests: RFC 9112 2 to 6.

use std::mem::MaybeUninit;

use httparse::{Error, Header, Request, Status};

use super::refusal::Refusal;
use super::target;
use crate::server::Limits;

/// A head that hyper may see.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// In bytes, with the empty line at its end.
    pub(super) length: usize,
    pub(super) framing: Framing,
    /// Whether it asks for another protocol behind the answer. hyper decides so, too.
    pub(super) asks_upgrade: bool,
}

/// How the end of a body is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes; 0 for no body.
    Sized(u64),
    Chunked,
}

/// Why a head does not pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    /// Whether the answer has no content, as that to `HEAD`.
    pub(super) is_head: bool,
}

/// Reads the head at the front of `bytes`: `None` if its end is not there yet.
///
/// A minor version above 1 is made 1, in place: the request is served as the highest version that
/// is known (RFC 9110 2.5), and hyper knows no other.
pub(super) fn read(bytes: &mut [u8], limits: &Limits) -> Result<Option<Head>, Refused> {
    match parse(bytes, limits) {
        Outcome::Read(read) => read,
        Outcome::OtherVersion => match other_version(bytes) {
            Ok(Some(minor)) => {
                bytes[minor] = b'1';
                match parse(bytes, limits) {
                    Outcome::Read(read) => read,
                    Outcome::OtherVersion => unreachable!("HTTP/1.1 is a version that is known"),
                }
            }
            Ok(None) => check_part(bytes, limits).map(|()| None),
            Err(refusal) => Err(refusal.into()),
        },
    }
}

enum Outcome {
    Read(Result<Option<Head>, Refused>),
    OtherVersion,
}

fn parse(bytes: &[u8], limits: &Limits) -> Outcome {
    let mut few = [const { MaybeUninit::uninit() }; FEW_HEADERS];
    let most = limits.headers.min(Limits::MOST_HEADERS);
    if most <= FEW_HEADERS {
        return parse_into(&mut few[..most], bytes, limits);
    }
    let mut many = Vec::new();
    // No line is shorter than three bytes.
    many.resize_with(most.min(bytes.len() / 3 + 1), MaybeUninit::uninit);
    parse_into(&mut many, bytes, limits)
}

fn parse_into<'b>(
    headers: &mut [MaybeUninit<Header<'b>>],
    bytes: &'b [u8],
    limits: &Limits,
) -> Outcome {
    let mut request = Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(bytes, headers);
    let refusal = match parsed {
        Ok(Status::Complete(length)) => match check(&request, length, limits) {
            Ok((framing, asks_upgrade)) => {
                return Outcome::Read(Ok(Some(Head { length, framing, asks_upgrade })));
            }
            Err(refusal) => refusal,
        },
        Ok(Status::Partial) => {
            return Outcome::Read(check_part(bytes, limits).map(|()| None));
        }
        Err(Error::Version) => return Outcome::OtherVersion,
        Err(Error::TooManyHeaders) => Refusal::FIELDS_TOO_LARGE,
        Err(Error::Token) if request.method.is_none() => {
            Refusal::malformed("the method is malformed")
        }
        Err(Error::Token) => Refusal::malformed("the request line is malformed"),
        Err(Error::HeaderName) => Refusal::malformed("the name of a header field is malformed"),
        Err(Error::HeaderValue) => Refusal::malformed("the value of a header field is malformed"),
        Err(Error::NewLine | Error::Status) => Refusal::malformed("the end of a line is malformed"),
    };
    let is_head = request.method == Some("HEAD");
    Outcome::Read(Err(Refused { refusal, is_head }))
}

/// Checks a whole head: first for malformed parts, then for what is too long or not supported. Returns
/// the framing of the body, and whether an upgrade is asked for.
fn check(
    request: &Request<'_, '_>,
    length: usize,
    limits: &Limits,
) -> Result<(Framing, bool), Refusal> {
    let method = request.method.expect(WHOLE);
    let path = request.path.expect(WHOLE);
    let is_http_11 = request.version == Some(1);
    if path.len() > longest_target(limits) {
        return Err(Refusal::TARGET_TOO_LONG);
    }
    if length > limits.header_bytes {
        return Err(Refusal::FIELDS_TOO_LARGE);
    }
    let mut fields = Fields::default();
    for Header { name, value } in request.headers.iter() {
        fields.add(name.as_bytes(), value)?;
    }
    if !fields.has_host() && is_http_11 {
        return Err(Refusal::malformed("there is no Host field"));
    }
    let framing = fields.framing(is_http_11, limits);
    match framing {
        Err(refusal) if refusal.status == 400 => return Err(refusal),
        _ => target::check(method, path)?,
    }
    if method.len() > LONGEST_METHOD {
        return Err(UNKNOWN_METHOD);
    }
    framing.map(|framing| (framing, fields.upgrade && is_http_11))
}

const WHOLE: &str = "a whole head has a request line";

/// What the fields of a head say about the host and the body.
#[derive(Default)]
pub(super) struct Fields {
    hosts: u8,
    length: Option<Length>,
    codings: Codings,
    /// There is an `Upgrade`.
    pub(super) upgrade: bool,
}

#[derive(Clone, Copy)]
enum Length {
    Bytes(u64),
    Malformed,
}

/// The transfer codings, all fields of that name together.
#[derive(Default)]
struct Codings {
    /// There is such a field.
    any: bool,
    /// The last one so far is `chunked`.
    chunked: bool,
    /// There is one other than `chunked`.
    others: bool,
    malformed: bool,
}

impl Fields {
    /// Adds one of them. No white space is around the value.
    #[inline]
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if self.hosts > 1 {
                    return Err(Refusal::malformed("there is more than one Host field"));
                }
                if !target::is_host(value) {
                    return Err(Refusal::malformed("the Host field is malformed"));
                }
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                // Also two equal ones: another recipient may look at only one of them.
                self.length = Some(match self.length {
                    None => digits(value).map_or(Length::Malformed, Length::Bytes),
                    Some(_) => Length::Malformed,
                });
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.codings.add(value),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn has_host(&self) -> bool {
        self.hosts > 0
    }

    #[inline]
    pub(super) fn framing(&self, is_http_11: bool, limits: &Limits) -> Result<Framing, Refusal> {
        if self.codings.any {
            return self.codings.framing(is_http_11, self.length.is_some());
        }
        match self.length {
            None => Ok(Framing::Sized(0)),
            Some(Length::Malformed) => Err(Refusal::malformed("Content-Length is malformed")),
            Some(Length::Bytes(bytes)) if bytes > longest_body(limits) => {
                Err(Refusal::BODY_TOO_LONG)
            }
            Some(Length::Bytes(bytes)) => Ok(Framing::Sized(bytes)),
        }
    }
}

impl Codings {
    /// Adds those of one field. An empty list element is malformed here, though other lists may have
    /// some: two recipients must not see two ends of one body.
    fn add(&mut self, value: &[u8]) {
        self.any = true;
        for coding in value.split(|&byte| byte == b',') {
            let coding = coding.trim_ascii();
            let end = coding.iter().position(|&byte| byte == b';').unwrap_or(coding.len());
            let name = coding[..end].trim_ascii_end();
            let is_chunked = name.eq_ignore_ascii_case(b"chunked");
            // Nothing may follow `chunked`, and it has no parameters.
            self.malformed |= self.chunked
                || name.is_empty()
                || !name.iter().all(|&byte| is_token(byte))
                || is_chunked && end < coding.len();
            self.chunked = is_chunked;
            self.others |= !is_chunked;
        }
    }

    fn framing(&self, is_http_11: bool, has_length: bool) -> Result<Framing, Refusal> {
        match self {
            _ if !is_http_11 => Err(Refusal::malformed("HTTP/1.0 has no Transfer-Encoding")),
            _ if has_length => {
                Err(Refusal::malformed("there are both Transfer-Encoding and Content-Length"))
            }
            Codings { malformed: true, .. } => {
                Err(Refusal::malformed("Transfer-Encoding is malformed"))
            }
            Codings { chunked: false, .. } => {
                Err(Refusal::malformed("the last transfer coding is not chunked"))
            }
            Codings { others: true, .. } => {
                Err(Refusal::not_implemented("chunked is the only transfer coding here"))
            }
            _ => Ok(Framing::Chunked),
        }
    }
}

/// A decimal number of digits alone, up to `u64::MAX`.
fn digits(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    text.parse().ok()
}

#[inline]
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = target::alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// Checks the version of a request line that is neither 1.0 nor 1.1. Returns the position of the minor
/// version if only that is unknown, or `None` if the version is incomplete.
fn other_version(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    const MALFORMED: Refusal = Refusal::malformed("the version is malformed");
    let line = line(bytes);
    let mut spaces = line.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    let (Some(_), Some((space, _))) = (spaces.next(), spaces.next()) else { return Ok(None) };
    let version = &line[space + 1..];
    let is_so_far = version.iter().zip(b"HTTP/D.DE").all(|(byte, expected)| match expected {
        b'D' => byte.is_ascii_digit(),
        b'E' => matches!(byte, b'\r' | b'\n'),
        _ => byte == expected,
    });
    match version.get(..9) {
        _ if !is_so_far => Err(MALFORMED),
        None => Ok(None),
        Some([.., b'1', b'.', _, _]) => Ok(Some(bytes.len() - version.len() + 7)),
        Some(_) => Err(Refusal::UNKNOWN_VERSION),
    }
}

/// From the request line on, without the empty lines that may stand before it.
fn line(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    &bytes[start.unwrap_or(bytes.len())..]
}

/// Whether `bytes` are only the empty lines that may precede a request line.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    line(bytes).is_empty()
}

/// Checks a head that is still incomplete for parts that are too long already.
pub(super) fn check_part(bytes: &[u8], limits: &Limits) -> Result<(), Refused> {
    let line = line(bytes);
    let method = line.iter().take(LONGEST_METHOD + 1).position(|&byte| byte == b' ');
    let refusal = match method {
        None if line.len() <= LONGEST_METHOD => None,
        None if line[..LONGEST_METHOD].iter().all(|&byte| is_token(byte)) => Some(UNKNOWN_METHOD),
        None => Some(Refusal::malformed("the request line is malformed")),
        Some(space) => {
            let longest = longest_target(limits);
            let target = line[space + 1..].iter().take(longest + 1);
            let length = target.take_while(|byte| !matches!(byte, b' ' | b'\r' | b'\n')).count();
            (length > longest).then_some(Refusal::TARGET_TOO_LONG)
        }
    };
    let too_large = bytes.len() >= limits.header_bytes;
    match refusal.or(too_large.then_some(Refusal::FIELDS_TOO_LARGE)) {
        Some(refusal) => Err(Refused { refusal, is_head: line.starts_with(b"HEAD ") }),
        None => Ok(()),
    }
}

/// Whether the empty line that ends a head may be in `bytes`, the first `seen` of which were checked
/// before.
pub(super) fn may_end(bytes: &[u8], seen: usize) -> bool {
    let new = &bytes[seen.saturating_sub(3)..];
    new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { refusal, is_head: false }
    }
}

pub(super) fn longest_target(limits: &Limits) -> usize {
    limits.target_bytes.min(LONGEST_TARGET)
}

/// The longest possible body: hyper gives the two highest numbers another meaning.
pub(super) fn longest_body(limits: &Limits) -> u64 {
    limits.max_body.min(u64::MAX - 2)
}

const UNKNOWN_METHOD: Refusal = Refusal::not_implemented("there is no such method here");

/// Longer than any known method. RFC 9112 3 has longer ones answered 501.
const LONGEST_METHOD: usize = 64;

/// The longest that hyper takes.
const LONGEST_TARGET: usize = u16::MAX as usize - 1;

/// Up to this many fields of a head are parsed without an allocation.
const FEW_HEADERS: usize = 100;
