//! Extractors of what a server knows of the connection of a request.

use std::convert::Infallible;

use axum::extract::rejection::ExtensionRejection;
use axum::extract::{Extension, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use heist_net::http::DrainSignal;

#[cfg(feature = "tls")]
pub use tls::{Tls, TlsRejection};

/// The extractor of a [`DrainSignal`].
///
/// A handler whose answer lasts long by itself ends it when the server drains:
///
/// ```
/// use std::convert::Infallible;
///
/// use axum::response::Sse;
/// use axum::response::sse::Event;
/// use futures_util::{Stream, StreamExt, stream};
/// use heist_axum::{Drain, KeepAliveStream};
///
/// async fn events(Drain(drain): Drain) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
///     let events = stream::pending();
///     Sse::new(KeepAliveStream::new(events).take_until(drain.draining_owned()))
/// }
/// # let router: axum::Router = axum::Router::new().route("/", axum::routing::get(events));
/// # drop(router);
/// ```
///
/// # Errors
///
/// The rejection, which is answered `500`, where the router is not on a server of heist, as in a test by
/// `oneshot`. `Option<Drain>` is `None` there.
#[derive(Clone, Debug)]
pub struct Drain(pub DrainSignal);

impl<S: Send + Sync> FromRequestParts<S> for Drain {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Drain, ExtensionRejection> {
        type Found = Extension<DrainSignal>;
        let found = <Found as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(Drain(found.0))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Drain {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Drain>, Infallible> {
        Ok(parts.extensions.get().cloned().map(Drain))
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::Arc;

    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Response};
    use heist_net::tls::TlsInfo;

    use super::{FromRequestParts, Infallible, OptionalFromRequestParts, Parts};

    /// The extractor of what the TLS handshake of a connection has agreed on (feature `tls`).
    ///
    /// # Errors
    ///
    /// [`TlsRejection`] for a request that came without TLS. `Option<Tls>` is `None` then.
    #[derive(Clone, Debug)]
    pub struct Tls(pub Arc<TlsInfo>);

    /// The request came without TLS, which its handler needs: answered `403`.
    #[derive(Clone, Copy, Debug)]
    #[non_exhaustive]
    pub struct TlsRejection;

    impl IntoResponse for TlsRejection {
        fn into_response(self) -> Response {
            (StatusCode::FORBIDDEN, "this is served behind TLS alone\n").into_response()
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for Tls {
        type Rejection = TlsRejection;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Tls, TlsRejection> {
            parts.extensions.get().cloned().map(Tls).ok_or(TlsRejection)
        }
    }

    impl<S: Send + Sync> OptionalFromRequestParts<S> for Tls {
        type Rejection = Infallible;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Tls>, Infallible> {
            Ok(parts.extensions.get().cloned().map(Tls))
        }
    }
}
