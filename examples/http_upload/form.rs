//! The body of a request as parts and their content.

use bytes::Bytes;
use heist::http::{Body, BodyError};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

use crate::header::{BadHeader, Parameterized};
use crate::multipart::{Event, Malformed, Multipart};
use crate::part::Part;

/// The parts of a form, one after the other.
pub(crate) struct Form {
    multipart: Multipart,
    body: Body,
}

/// Why a form cannot be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the request is no form; send one with: curl --form file=@FILE")]
    NotAForm,
    #[error("malformed Content-Type: {0}")]
    ContentType(#[from] BadHeader),
    #[error("malformed form: {0}")]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl Form {
    /// The form in `body`, if `headers` say that it is one.
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Result<Form, FormError> {
        Ok(Form { multipart: Multipart::new(&boundary(headers)?), body })
    }

    /// The next part. The rest of the one before is skipped.
    ///
    /// `None` is the end of the body, not of the form: a request that breaks off after its form is
    /// incomplete.
    pub(crate) async fn next_part(&mut self) -> Result<Option<Part>, FormError> {
        loop {
            match self.next_event().await? {
                Event::Part(part) => return Ok(Some(part)),
                Event::Content(_) | Event::EndOfPart => {}
                Event::End => return Ok(None),
            }
        }
    }

    /// The next bytes of the part, at most those of one read; `None` once, at its end.
    ///
    /// # Panics
    /// Outside of a part: the next part would be lost.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Bytes>, FormError> {
        match self.next_event().await? {
            Event::Content(data) => Ok(Some(data)),
            Event::EndOfPart => Ok(None),
            Event::Part(_) | Event::End => unreachable!("content is read outside of a part"),
        }
    }

    async fn next_event(&mut self) -> Result<Event, FormError> {
        loop {
            if let Some(event) = self.multipart.next()? {
                return Ok(event);
            }
            match self.body.frame().await {
                // Trailers are ignored: no form has them.
                Some(frame) => self.multipart.feed(&frame?.into_data().unwrap_or_default()),
                None => self.multipart.end(),
            }
        }
    }
}

/// The string that separates the parts.
fn boundary(headers: &HeaderMap) -> Result<Vec<u8>, FormError> {
    let mut content_types = headers.get_all(CONTENT_TYPE).iter();
    let content_type = match (content_types.next(), content_types.next()) {
        (Some(only), None) => Parameterized::parse(only.as_bytes())?,
        (None, _) => return Err(FormError::NotAForm),
        _ => return Err(BadHeader("there are two").into()),
    };
    if content_type.value != "multipart/form-data" {
        return Err(FormError::NotAForm);
    }
    match content_type.bytes("boundary") {
        Some(boundary) if is_boundary(boundary) => Ok(boundary.to_vec()),
        Some(_) => Err(BadHeader(BAD_BOUNDARY).into()),
        None => Err(BadHeader("it has no boundary").into()),
    }
}

fn is_boundary(bytes: &[u8]) -> bool {
    let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    printable && (1..=70).contains(&bytes.len()) && !bytes.ends_with(b" ")
}

const BAD_BOUNDARY: &str =
    "the boundary is not 1 to 70 printable ASCII characters, the last no space";
