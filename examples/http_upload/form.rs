//! A form as it comes: multer on the body of a request.
//!
//! multer takes in whatever the body has and gives out the parts. It has no bound on what it keeps
//! while it looks for the beginning of a part, so here is one.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use heist::server::http::{Body, BodyError};
use hyper::body::Body as _;
use multer::{Field, Multipart};

/// One part of a form.
pub(crate) type Part = Field<'static>;

/// The parts of a form, one after the other.
pub(crate) struct Form {
    parts: Multipart<'static>,
    feed: Feed,
}

impl Form {
    /// The form in `body`, if `content_type` says that it is one.
    pub(crate) fn new(content_type: &str, body: Body) -> multer::Result<Form> {
        let boundary = multer::parse_boundary(content_type)?;
        let feed = Feed(Arc::new(Mutex::new(Intake { body, unused: 0 })));
        Ok(Form { parts: Multipart::new(feed.clone(), boundary), feed })
    }

    /// The next part. The one before has to be dropped by then, and read to its end.
    pub(crate) async fn next_part(&mut self) -> multer::Result<Option<Part>> {
        let part = self.parts.next_field().await?;
        self.feed.intake().unused = 0;
        Ok(part)
    }

    /// What comes next of `part`: as much as there is, which is at most what one read brought.
    pub(crate) async fn next_chunk(&mut self, part: &mut Part) -> multer::Result<Option<Bytes>> {
        let chunk = part.chunk().await?;
        self.feed.intake().unused = 0;
        Ok(chunk)
    }

    /// Reads on to the end of the body, which comes after that of the form: a request that breaks
    /// off in between was not sent as a whole.
    pub(crate) async fn finish(mut self) -> multer::Result<()> {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut self.feed).poll_next(cx)).await {
            frame.map_err(multer::Error::StreamReadFailed)?;
            self.feed.intake().unused = 0;
        }
        Ok(())
    }
}

/// The body of a request, which multer reads while [`Form`] keeps an eye on it.
///
/// The lock is never waited for: both have it only inside of a poll of the same task.
#[derive(Clone)]
struct Feed(Arc<Mutex<Intake>>);

struct Intake {
    body: Body,
    /// Bytes that multer has taken in since it last gave something out.
    unused: usize,
}

impl Feed {
    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut intake = self.intake();
        if intake.unused > MOST_UNUSED {
            return Poll::Ready(Some(Err(NotAForm.into())));
        }
        let frame = ready!(Pin::new(&mut intake.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            // Trailers, which no form has, count for nothing.
            let data = frame?.into_data().unwrap_or_default();
            intake.unused += data.len();
            Ok(data)
        }))
    }
}

/// The parts of the form do not begin, or their heads do not end.
#[derive(Debug, thiserror::Error)]
#[error("no part of a form within {MOST_UNUSED} bytes")]
struct NotAForm;

/// Whether `error` is that the body failed, and not what is in it.
pub(crate) fn is_of_body(error: &multer::Error) -> bool {
    matches!(error, multer::Error::StreamReadFailed(cause) if cause.is::<BodyError>())
}

/// A few times what hyper gives in one poll, 64 KiB, all of which multer takes in before it begins
/// to look at it.
const MOST_UNUSED: usize = 256 * 1024;
