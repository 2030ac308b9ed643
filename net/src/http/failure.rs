//! What went wrong on a connection: how it ends, and what the peer is answered.

use hyper::StatusCode;

use crate::connection::close_reason::CloseKind;

/// What went wrong with the present request or with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// How the connection ends because of it. `None` if it ends in order all the same.
    pub(super) close: Option<CloseKind>,
    /// The answer to the request if its service fails because of it.
    pub(super) status: Option<StatusCode>,
}

impl Failure {
    pub(super) const NONE: Failure = Failure { close: None, status: None };
    pub(super) const BODY_TOO_LONG: Failure =
        Failure { close: None, status: Some(StatusCode::PAYLOAD_TOO_LARGE) };
    pub(super) const BODY_STALLED: Failure =
        Failure { close: Some(CloseKind::BodyTimeout), status: Some(StatusCode::REQUEST_TIMEOUT) };
    pub(super) const BODY_TOO_SLOW: Failure =
        Failure { close: Some(CloseKind::TooSlow), status: Some(StatusCode::REQUEST_TIMEOUT) };
    pub(super) const BODY_MALFORMED: Failure =
        Failure { close: Some(CloseKind::Protocol), status: Some(StatusCode::BAD_REQUEST) };
    pub(super) const BODY_LOST: Failure =
        Failure { close: Some(CloseKind::Lost), status: Some(StatusCode::BAD_REQUEST) };

    /// The guard refuses the rest of a body with `status`.
    pub(super) fn of_body(status: StatusCode) -> Failure {
        let close = (status != StatusCode::PAYLOAD_TOO_LARGE).then_some(CloseKind::Protocol);
        Failure { close, status: Some(status) }
    }

    /// A failure that ends the connection and is reported to no service.
    pub(super) fn of_connection(close: CloseKind) -> Failure {
        Failure { close: Some(close), status: None }
    }

    /// In one word, for an atomic: the status in the bits 8 to 23, and in the lowest byte one more
    /// than the kind; 0 where there is none.
    pub(super) fn to_bits(self) -> u32 {
        let status = self.status.map_or(0, |status| u32::from(status.as_u16()));
        status << 8 | self.close.map_or(0, |kind| kind as u32 + 1)
    }

    pub(super) fn from_bits(bits: u32) -> Failure {
        let close = (bits & 0xff).checked_sub(1);
        let close = close.and_then(|kind| CloseKind::ALL.get(kind as usize).copied());
        let status = StatusCode::from_u16((bits >> 8) as u16).ok();
        Failure { close, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_the_same_out_of_its_word() {
        let kinds = CloseKind::ALL.into_iter().map(Some).chain([None]);
        for close in kinds {
            for status in [None, Some(StatusCode::BAD_REQUEST), Some(StatusCode::PAYLOAD_TOO_LARGE)]
            {
                let failure = Failure { close, status };
                assert_eq!(Failure::from_bits(failure.to_bits()), failure);
            }
        }
    }
}
