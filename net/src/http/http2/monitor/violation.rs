//! What a peer is cut off for.

use std::error::Error;
use std::fmt;

use super::frame::code;

/// Which bound of HTTP/2 a peer has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::http) enum Violation {
    Preface,
    FrameSize,
    HeaderBlock,
    Continuations,
    Resets,
    RefusedStreams,
    StreamErrors,
    Settings,
    Pings,
    Priorities,
    WindowUpdates,
    SmallWindowUpdates,
    EmptyFrames,
    UnknownFrames,
    /// A bound of hyper's HTTP/2, which comes after the others.
    Other,
}

impl Violation {
    /// In the order in which they are declared.
    pub(in crate::http) const ALL: [Violation; 15] = [
        Violation::Preface,
        Violation::FrameSize,
        Violation::HeaderBlock,
        Violation::Continuations,
        Violation::Resets,
        Violation::RefusedStreams,
        Violation::StreamErrors,
        Violation::Settings,
        Violation::Pings,
        Violation::Priorities,
        Violation::WindowUpdates,
        Violation::SmallWindowUpdates,
        Violation::EmptyFrames,
        Violation::UnknownFrames,
        Violation::Other,
    ];

    /// The label `kind` of the metric.
    pub(in crate::http) fn label(self) -> &'static str {
        match self {
            Violation::Preface => "preface",
            Violation::FrameSize => "frame_size",
            Violation::HeaderBlock => "header_block",
            Violation::Continuations => "continuations",
            Violation::Resets => "resets",
            Violation::RefusedStreams => "refused_streams",
            Violation::StreamErrors => "stream_errors",
            Violation::Settings => "settings",
            Violation::Pings => "pings",
            Violation::Priorities => "priorities",
            Violation::WindowUpdates => "window_updates",
            Violation::SmallWindowUpdates => "small_window_updates",
            Violation::EmptyFrames => "empty_frames",
            Violation::UnknownFrames => "unknown_frames",
            Violation::Other => "other",
        }
    }

    /// Whether the peer broke a rule of HTTP/2, instead of sending too much.
    pub(in crate::http) fn is_malformed(self) -> bool {
        matches!(self, Violation::Preface | Violation::FrameSize)
    }

    /// The code of the GOAWAY.
    pub(in crate::http::http2) fn code(self) -> u32 {
        match self {
            Violation::Preface => code::PROTOCOL_ERROR,
            Violation::FrameSize => code::FRAME_SIZE_ERROR,
            _ => code::ENHANCE_YOUR_CALM,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::Preface => "the connection does not begin with the preface of HTTP/2",
            Violation::FrameSize => "a frame is longer than 16,384 bytes",
            Violation::HeaderBlock => "a header block is too long",
            Violation::Continuations => "a header block has too many CONTINUATION frames",
            Violation::Resets => "too many RST_STREAM frames",
            Violation::RefusedStreams => "too many streams beyond the bound on open ones",
            Violation::StreamErrors => "too many stream errors",
            Violation::Settings => "too many SETTINGS frames",
            Violation::Pings => "too many PING frames",
            Violation::Priorities => "too many PRIORITY frames",
            Violation::WindowUpdates => "too many WINDOW_UPDATE frames",
            Violation::SmallWindowUpdates => "too many WINDOW_UPDATE frames of a few bytes",
            Violation::EmptyFrames => "too many empty frames",
            Violation::UnknownFrames => "too many frames of unknown types",
            Violation::Other => "too much of something, says the HTTP/2 library",
        })
    }
}

impl Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_found_at_its_own_place() {
        for (index, violation) in Violation::ALL.into_iter().enumerate() {
            assert_eq!(violation as usize, index, "{violation:?}");
        }
    }
}
