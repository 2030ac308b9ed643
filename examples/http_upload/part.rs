//! The head of a part: its name, and whether it is a file (RFC 7578).
//!
//! An ambiguous head is refused, and the form with it: a wrong guess loses a file.

use httparse::{EMPTY_HEADER, Header, Status};

use crate::header::{BadHeader, Parameterized};

/// A part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The field's name.
    pub(crate) field: String,
    /// The client's name for the file; `None` if the part is no file.
    pub(crate) file_name: Option<String>,
}

impl Part {
    /// Reads the lines of `head`, of which the last is empty.
    pub(crate) fn parse(head: &[u8]) -> Result<Part, BadHeader> {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let headers = match httparse::parse_headers(head, &mut headers) {
            // It also accepts lines that end in LF, and stops after an empty one.
            Ok(Status::Complete((length, headers))) if length == head.len() => headers,
            _ => return Err(BadHeader("a header of a part is malformed")),
        };
        let disposition = only(headers, "content-disposition")?;
        let disposition = disposition.ok_or(BadHeader("a part has no Content-Disposition"))?;
        let part = Part::from_disposition(&Parameterized::parse(disposition)?)?;
        check_encoding(headers)?;
        if part.file_name.is_none() {
            check_no_files_inside(headers)?;
        }
        Ok(part)
    }

    fn from_disposition(disposition: &Parameterized) -> Result<Part, BadHeader> {
        if disposition.value != "form-data" {
            return Err(BadHeader("a part's Content-Disposition is not form-data"));
        }
        // `filename*0` is a piece of a value (RFC 2231).
        if disposition.names().any(|name| name.contains('*') && name != "filename*") {
            return Err(BadHeader("of extended parameters, only filename* is understood"));
        }
        let field = disposition.text("name").ok_or(BadHeader("a part has no name"))?;
        // The extended one is the more exact if there are both (RFC 6266, section 4.3). An empty
        // one says only that the part is a file.
        let file_name = match disposition.extended("filename*")? {
            Some(extended) if !extended.is_empty() => Some(extended),
            extended => disposition.text("filename").or(extended),
        };
        Ok(Part { field, file_name })
    }
}

/// The value of the header `name`; a duplicate is refused.
fn only<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a [u8]>, BadHeader> {
    let mut all = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    match (all.next(), all.next()) {
        (first, None) => Ok(first.map(|header| header.value)),
        _ => Err(BadHeader("a header of a part comes twice")),
    }
}

/// Content is stored without decoding. RFC 7578 deprecates encodings that need it.
fn check_encoding(headers: &[Header<'_>]) -> Result<(), BadHeader> {
    let encoding = only(headers, "content-transfer-encoding")?.unwrap_or(b"binary");
    if [&b"7bit"[..], b"8bit", b"binary"].iter().any(|it| it.eq_ignore_ascii_case(encoding)) {
        Ok(())
    } else {
        Err(BadHeader("a part's Content-Transfer-Encoding is not supported"))
    }
}

/// RFC 2388 had the files of one field in a multipart of their own. RFC 7578 deprecates it.
fn check_no_files_inside(headers: &[Header<'_>]) -> Result<(), BadHeader> {
    let content_type = only(headers, "content-type")?.unwrap_or_default();
    if content_type.get(..10).is_some_and(|it| it.eq_ignore_ascii_case(b"multipart/")) {
        return Err(BadHeader("a part of parts is not supported"));
    }
    Ok(())
}

const MOST_HEADERS: usize = 32;
