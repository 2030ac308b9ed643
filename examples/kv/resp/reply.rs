//! Replies, in version 2 of the protocol or 3.

/// Writes replies to the end of a connection's output.
pub(crate) struct Reply<'a> {
    output: &'a mut Vec<u8>,
    /// Version 3 has maps, sets, doubles and a null type, which version 2 lacks.
    pub(crate) version_3: bool,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(output: &'a mut Vec<u8>, version_3: bool) -> Reply<'a> {
        Reply { output, version_3 }
    }

    pub(crate) fn ok(&mut self) {
        self.output.extend_from_slice(b"+OK\r\n");
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `text` begins with a code in capitals, by which programs know the error. A line end in it
    /// becomes a space, at its end nothing.
    pub(crate) fn error(&mut self, text: &[u8]) {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let length = text.iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1);
        let one_line = |byte: &u8| if is_end(byte) { b' ' } else { *byte };
        self.output.push(b'-');
        self.output.extend(text[..length].iter().map(one_line));
        self.output.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.line(b':', itoa::Buffer::new().format(value).as_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.head(b':', count);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.count(flag.into());
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.head(b'$', bytes.len());
        self.output.extend_from_slice(bytes);
        self.output.extend_from_slice(b"\r\n");
    }

    pub(crate) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Each as two strings.
    pub(crate) fn pairs(&mut self, pairs: &[(&str, &str)]) {
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            self.bulk(text.as_bytes());
        }
    }

    /// Text for people to read.
    pub(crate) fn verbatim(&mut self, text: &str) {
        if !self.version_3 {
            return self.bulk(text.as_bytes());
        }
        self.head(b'=', text.len() + 4);
        self.output.extend_from_slice(b"txt:");
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// A double, given as text.
    pub(crate) fn double(&mut self, text: &str) {
        if self.version_3 { self.line(b',', text.as_bytes()) } else { self.bulk(text.as_bytes()) }
    }

    pub(crate) fn null(&mut self) {
        let null: &[u8] = if self.version_3 { b"_\r\n" } else { b"$-1\r\n" };
        self.output.extend_from_slice(null);
    }

    /// Null in place of an array.
    pub(crate) fn null_array(&mut self) {
        let null: &[u8] = if self.version_3 { b"_\r\n" } else { b"*-1\r\n" };
        self.output.extend_from_slice(null);
    }

    /// An array of the next `length` replies.
    pub(crate) fn array(&mut self, length: usize) {
        self.head(b'*', length);
    }

    /// A map of the next `length` pairs of replies.
    pub(crate) fn map(&mut self, length: usize) {
        if self.version_3 { self.head(b'%', length) } else { self.head(b'*', length * 2) }
    }

    /// A set of the next `length` replies.
    pub(crate) fn set(&mut self, length: usize) {
        self.head(if self.version_3 { b'~' } else { b'*' }, length);
    }

    fn head(&mut self, marker: u8, count: usize) {
        self.line(marker, itoa::Buffer::new().format(count).as_bytes());
    }

    fn line(&mut self, marker: u8, text: &[u8]) {
        self.output.push(marker);
        self.output.extend_from_slice(text);
        self.output.extend_from_slice(b"\r\n");
    }
}
