//! Replies, in version 2 of the protocol or 3.

/// Writes replies to the end of a connection's output.
pub(crate) struct Reply<'a> {
    output: &'a mut Vec<u8>,
    /// Version 3: with maps, sets, doubles and a null of its own, which version 2 lacks.
    version_3: bool,
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

    /// `text` begins with a word in capitals, by which programs know the error.
    pub(crate) fn error(&mut self, text: &str) {
        self.line(b'-', text.as_bytes());
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.line(b':', itoa::Buffer::new().format(value).as_bytes());
    }

    /// How many there are of something in memory.
    pub(crate) fn count(&mut self, count: usize) {
        self.head(b':', count);
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

    pub(crate) fn double(&mut self, value: f64) {
        let text = value.to_string();
        if self.version_3 { self.line(b',', text.as_bytes()) } else { self.bulk(text.as_bytes()) }
    }

    pub(crate) fn null(&mut self) {
        let null: &[u8] = if self.version_3 { b"_\r\n" } else { b"$-1\r\n" };
        self.output.extend_from_slice(null);
    }

    /// Null where otherwise an array would stand.
    pub(crate) fn null_array(&mut self) {
        let null: &[u8] = if self.version_3 { b"_\r\n" } else { b"*-1\r\n" };
        self.output.extend_from_slice(null);
    }

    /// So many replies follow, which make one.
    pub(crate) fn array(&mut self, length: usize) {
        self.head(b'*', length);
    }

    /// So many pairs of replies follow.
    pub(crate) fn map(&mut self, length: usize) {
        if self.version_3 { self.head(b'%', length) } else { self.head(b'*', length * 2) }
    }

    /// So many replies follow, in no order.
    pub(crate) fn set(&mut self, length: usize) {
        self.head(if self.version_3 { b'~' } else { b'*' }, length);
    }

    /// Whether a member comes in an array of its own together with its score.
    pub(crate) fn nests_pairs(&self) -> bool {
        self.version_3
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
