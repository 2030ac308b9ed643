//! A reply, as a tree.

use std::fmt;
use std::io::BufRead;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reply {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Double(Vec<u8>),
    Bulk(Vec<u8>),
    Verbatim(Vec<u8>),
    /// The null of version 2, as a string or an array, or that of version 3.
    Null(u8),
    /// An array, a map or a set, by the byte that marks it.
    List(u8, Vec<Reply>),
}

impl Reply {
    pub(super) fn read(from: &mut impl BufRead) -> Reply {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line).unwrap();
        let line = line.strip_suffix(b"\r\n").expect("the connection ended inside a reply");
        let (marker, text) = (line[0], line[1..].to_vec());
        let number = || std::str::from_utf8(&text).unwrap().parse::<i64>().unwrap();
        match marker {
            b'+' => Reply::Simple(text),
            b'-' => Reply::Error(text),
            b':' => Reply::Integer(number()),
            b',' => Reply::Double(text),
            b'_' => Reply::Null(marker),
            b'$' | b'*' if text == b"-1" => Reply::Null(marker),
            b'$' | b'=' => {
                let mut bytes = vec![0; number() as usize + 2];
                from.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                if marker == b'$' { Reply::Bulk(bytes) } else { Reply::Verbatim(bytes) }
            }
            b'*' | b'~' | b'%' => {
                let count = number() as usize * if marker == b'%' { 2 } else { 1 };
                Reply::List(marker, (0..count).map(|_| Reply::read(from)).collect())
            }
            _ => panic!("no reply begins with {}", line.escape_ascii()),
        }
    }

    pub(super) fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }

    /// The elements of an array, map or set.
    pub(super) fn elements(&mut self) -> &mut [Reply] {
        match self {
            Reply::List(_, elements) => elements,
            _ => &mut [],
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (marker, text) = match self {
            Reply::Simple(text) => ('+', text),
            Reply::Error(text) => ('-', text),
            Reply::Double(text) => (',', text),
            Reply::Bulk(text) => ('$', text),
            Reply::Verbatim(text) => ('=', text),
            Reply::Integer(integer) => return write!(f, ":{integer}"),
            Reply::Null(marker) => return write!(f, "null({})", char::from(*marker)),
            Reply::List(marker, elements) => {
                write!(f, "{}", char::from(*marker))?;
                return f.debug_list().entries(elements).finish();
            }
        };
        let shown = text[..text.len().min(200)].escape_ascii();
        write!(f, "{marker}{shown} ({} bytes)", text.len())
    }
}
