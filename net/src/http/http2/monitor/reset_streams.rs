//! The streams that the server has reset of its own accord, of which more may be under way.

use std::collections::VecDeque;

/// The last streams that the server has reset without an error of the peer.
///
/// A peer that sends a body learns of it later. hyper forgets such streams soon, and resets them once more
/// for each frame that comes then.
#[derive(Debug, Default)]
pub(super) struct ResetStreams {
    /// Empty on most connections.
    last: VecDeque<ResetStream>,
}

#[derive(Debug)]
struct ResetStream {
    id: u32,
    /// Frames that may still come.
    frames: u32,
}

impl ResetStreams {
    pub(super) const fn new() -> ResetStreams {
        ResetStreams { last: VecDeque::new() }
    }

    /// The server resets the stream `id`. Of those before, as many are kept as may be open at once.
    pub(super) fn add(&mut self, id: u32, streams: u32) {
        let kept = (streams as usize).min(MOST);
        while self.last.len() >= kept.max(1) {
            self.last.pop_front();
        }
        self.last.push_back(ResetStream { id, frames: FRAMES });
    }

    /// Whether a frame of the stream `id` may have been under way when it was reset. One fewer may be from
    /// now on.
    pub(super) fn take_frame(&mut self, id: u32) -> bool {
        // The later ones are asked for more often.
        let found = self.last.iter_mut().rev().find(|stream| stream.id == id);
        found.is_some_and(|stream| {
            let allowed = stream.frames > 0;
            stream.frames = stream.frames.saturating_sub(1);
            allowed
        })
    }
}

/// Streams that are kept at most.
const MOST: usize = 1024;

/// Frames of one stream that may be under way: a window of the default size, in frames of 4 KiB.
const FRAMES: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_streams_are_kept_and_each_has_its_frames() {
        let mut streams = ResetStreams::new();
        [1, 3, 5].into_iter().for_each(|id| streams.add(id, 2));
        assert!(!streams.take_frame(1));
        assert!((0..FRAMES).all(|_| streams.take_frame(3)));
        assert!(!streams.take_frame(3));
        assert!(streams.take_frame(5));
    }
}
