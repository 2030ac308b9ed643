//! Lists of buffers, cut to what one system call takes.
//!
//! A call takes 1,024 buffers at most, and returns 0 if all of them are empty. That 0 would be
//! mistaken for the end of the stream, or for a socket that accepts no bytes. So empty buffers do
//! not count towards the limit.

use std::borrow::Cow;
use std::io::{IoSlice, IoSliceMut};

/// The buffers of one write: up to [`MOST`], of which the first is not empty; none if all of
/// `buffers` are empty.
pub(crate) fn to_write<'b, 'a>(buffers: &'b [IoSlice<'a>]) -> Cow<'b, [IoSlice<'a>]> {
    let empty = buffers.iter().take_while(|buffer| buffer.is_empty()).count();
    let buffers = &buffers[empty..];
    match buffers.get(..MOST) {
        None => buffers.into(),
        Some(first) if first.iter().all(|buffer| !buffer.is_empty()) => first.into(),
        Some(_) => {
            let full = buffers.iter().filter(|buffer| !buffer.is_empty());
            full.take(MOST).copied().collect()
        }
    }
}

/// The bytes of all `buffers`, one behind the other in `memory`; `None` if it has not room for them.
pub(crate) fn gathered<'m>(buffers: &[IoSlice<'_>], memory: &'m mut [u8]) -> Option<&'m [u8]> {
    let mut length = 0;
    for buffer in buffers {
        let room = memory.get_mut(length..)?.get_mut(..buffer.len())?;
        room.copy_from_slice(buffer);
        length += buffer.len();
    }
    Some(&memory[..length])
}

/// Calls `read` with the buffers of one read, chosen as by [`to_write`].
pub(crate) fn to_read<R>(
    buffers: &mut [IoSliceMut<'_>],
    read: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    let empty = buffers.iter().take_while(|buffer| buffer.is_empty()).count();
    let buffers = &mut buffers[empty..];
    match buffers.get(..MOST) {
        None => read(buffers),
        Some(first) if first.iter().all(|buffer| !buffer.is_empty()) => read(&mut buffers[..MOST]),
        Some(_) => {
            let full = buffers.iter_mut().filter(|buffer| !buffer.is_empty());
            let mut full: Vec<_> = full.take(MOST).map(|it| IoSliceMut::new(it)).collect();
            read(&mut full)
        }
    }
}

/// `IOV_MAX` of Linux and the BSDs.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// The buffers and bytes that are taken from a list that repeats `empty` empty buffers and a
    /// full one.
    fn taken(empty: usize, full: usize) -> (usize, usize) {
        let one = std::iter::repeat_n(IoSlice::new(b""), empty).chain([IoSlice::new(b"x")]);
        let all: Vec<_> = std::iter::repeat_n(one, full).flatten().collect();
        let bytes = |buffers: &[IoSlice<'_>]| buffers.iter().map(|buffer| buffer.len()).sum();
        let list = to_write(&all);
        (list.len(), bytes(&list))
    }

    #[test]
    fn empty_buffers_do_not_count_towards_the_bound() {
        assert_eq!(taken(0, 0), (0, 0));
        assert_eq!(taken(0, 1023), (1023, 1023));
        assert_eq!(taken(0, 1025), (1024, 1024));
        assert_eq!(taken(5000, 1), (1, 1));
        assert_eq!(taken(5000, 2), (2, 2));
        assert_eq!(taken(1, 5000), (1024, 1024));
        assert_eq!(to_write(&[IoSlice::new(b""); 5000]).len(), 0);
    }

    #[test]
    fn buffers_are_gathered_as_far_as_there_is_room() {
        let buffers = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        let mut memory = [0; 5];
        assert_eq!(gathered(&buffers, &mut memory), Some(b"abcde".as_slice()));
        assert_eq!(gathered(&buffers[..1], &mut memory), Some(b"ab".as_slice()));
        assert_eq!(gathered(&[], &mut memory), Some(b"".as_slice()));
        assert_eq!(gathered(&buffers, &mut memory[..4]), None);
        assert_eq!(gathered(&buffers, &mut memory[..1]), None);
    }

    #[test]
    fn buffers_to_read_are_chosen_as_those_to_write() {
        for (empty, full) in [(0, 0), (0, 1023), (0, 1025), (5000, 1), (5000, 2), (1, 5000)] {
            let mut room = vec![0; full];
            let mut none = vec![[0; 0]; empty * full];
            let mut none = none.iter_mut();
            let mut all = Vec::new();
            for byte in room.chunks_mut(1) {
                all.extend(none.by_ref().take(empty).map(|none| IoSliceMut::new(none)));
                all.push(IoSliceMut::new(byte));
            }
            let got = to_read(&mut all, |list| {
                (list.len(), list.iter().map(|buffer| buffer.len()).sum::<usize>())
            });
            assert_eq!(got, taken(empty, full));
        }
    }
}
