//! Header values with parameters: `Content-Type` and `Content-Disposition`.
//!
//! The grammar is that of RFC 9110, section 5.6.6, and two things that clients send: blanks around
//! `=`, and any visible character in a value without quotes. An ambiguous value is refused: one
//! with a duplicate parameter, a quote that does not end, or text after a value.

use percent_encoding::percent_decode;

/// A value and its parameters, such as `form-data; name="file"; filename="a.txt"`.
#[derive(Debug)]
pub(crate) struct Parameterized {
    /// In lower case.
    pub(crate) value: String,
    /// By name in lower case.
    parameters: Vec<(String, Vec<u8>)>,
}

/// The fault of a header value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadHeader(pub(crate) &'static str);

impl Parameterized {
    pub(crate) fn parse(line: &[u8]) -> Result<Parameterized, BadHeader> {
        let mut rest = Cursor(line);
        let value = lower_case(rest.token());
        let mut parameters: Vec<(String, Vec<u8>)> = Vec::new();
        while rest.skip(b';') {
            let name = lower_case(rest.name());
            match (name.is_empty(), rest.skip(b'=')) {
                (false, true) => {}
                // RFC 9110 allows an empty parameter: `form-data; name="a";`.
                (true, false) => continue,
                (true, true) => return Err(BadHeader("a parameter has no name")),
                (false, false) => return Err(BadHeader("a parameter has no value")),
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(BadHeader("a parameter comes twice"));
            }
            parameters.push((name, rest.value()?));
        }
        if !rest.is_empty() {
            return Err(BadHeader("text follows a parameter's value"));
        }
        Ok(Parameterized { value, parameters })
    }

    /// The value of the parameter `name`, as it was sent.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..])
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.bytes(name).map(text)
    }

    /// The value of `name*`, which names its encoding (RFC 8187): `UTF-8''na%C3%AFve.txt`.
    pub(crate) fn extended(&self, name: &str) -> Result<Option<String>, BadHeader> {
        self.bytes(name).map(decode_extended).transpose()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }
}

/// Decodes UTF-8, or else Latin-1, in which each byte is a character: no byte is lost.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn decode_extended(value: &[u8]) -> Result<String, BadHeader> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let pieces = (parts.next(), parts.next(), parts.next());
    let (Some(charset), Some(_language), Some(encoded)) = pieces else {
        return Err(BadHeader("an extended value is not CHARSET'LANGUAGE'TEXT"));
    };
    let bytes: Vec<u8> = percent_decode(encoded).collect();
    let not_utf8 = |_| BadHeader("an extended value is not UTF-8");
    match lower_case(charset).as_str() {
        "utf-8" => String::from_utf8(bytes).map_err(not_utf8),
        "iso-8859-1" => Ok(bytes.into_iter().map(char::from).collect()),
        _ => Err(BadHeader("an extended value is neither in UTF-8 nor in ISO-8859-1")),
    }
}

fn lower_case(bytes: &[u8]) -> String {
    text(bytes).to_ascii_lowercase()
}

/// The rest of a line. All methods skip the blanks around what they take.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `byte` if it is next, and returns whether it was.
    fn skip(&mut self, byte: u8) -> bool {
        match self.0.strip_prefix(&[byte]) {
            Some(rest) => {
                self.0 = rest.trim_ascii_start();
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let all = self.0.trim_ascii_start();
        let end = all.iter().position(|byte| !belongs(*byte)).unwrap_or(all.len());
        self.0 = all[end..].trim_ascii_start();
        &all[..end]
    }

    fn token(&mut self) -> &'a [u8] {
        self.take_while(|byte| byte > b' ' && byte != 0x7f && !b"\";".contains(&byte))
    }

    fn name(&mut self) -> &'a [u8] {
        self.take_while(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    }

    fn value(&mut self) -> Result<Vec<u8>, BadHeader> {
        let quoted = match self.0.strip_prefix(b"\"") {
            Some(quoted) => quoted,
            None => match self.token() {
                [] => return Err(BadHeader("a parameter has no value")),
                token => return Ok(token.to_vec()),
            },
        };
        let (value, rest) = unquote(quoted)?;
        self.0 = rest.trim_ascii_start();
        Ok(value)
    }
}

/// Splits `line`, which starts after an opening quote, into the quoted value and the rest.
///
/// A backslash escapes a quote and a backslash. Before any other byte it is an ordinary character:
/// browsers do not escape it in file names of Windows.
fn unquote(line: &[u8]) -> Result<(Vec<u8>, &[u8]), BadHeader> {
    let mut value = Vec::new();
    let mut rest = line;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Ok((value, rest)),
            [b'\\', escaped @ (b'"' | b'\\'), rest @ ..] | [escaped, rest @ ..] => {
                value.push(*escaped);
                rest
            }
            [] => return Err(BadHeader("a quoted value does not end")),
        };
    }
}
