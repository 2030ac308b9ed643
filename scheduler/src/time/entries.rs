//! The table of a queue's entries: it grows by chunks, which never move and are never freed.
//!
//! A timer comes to its entry by index and without a lock, from any thread. So entries stay where
//! they are, and growth touches none that exists.

use std::sync::OnceLock;

use super::entry::Entry;

/// Up to 2^24 entries, or two under loom, where a model shall meet the bound. Two steps lead to
/// a chunk, so that a queue with few timers has a small table. Arrays, whose lengths are powers of two,
/// as a connection looks at its entry with each request: no index has to be compared with a length.
#[derive(Debug)]
pub(super) struct Entries {
    tables: [OnceLock<Table>; TABLES as usize],
}

type Table = Box<[OnceLock<Chunk>; TABLE as usize]>;
type Chunk = Box<[Entry; CHUNK as usize]>;

impl Entries {
    pub(super) fn new() -> Entries {
        Entries { tables: [const { OnceLock::new() }; TABLES as usize] }
    }

    /// The entry with this index, which [`Entries::grow`] has reached.
    #[inline]
    pub(super) fn at(&self, index: u32) -> &Entry {
        #[cfg_attr(heist_loom, allow(clippy::modulo_one))]
        let (chunk, place) = (index / CHUNK, index % CHUNK);
        #[cfg_attr(heist_loom, allow(clippy::modulo_one))]
        let table = self.tables[(chunk / TABLE % TABLES) as usize].get();
        let chunk = table.and_then(|table| table[(chunk % TABLE) as usize].get());
        &chunk.expect("an index is given out only after its chunk was made")[place as usize]
    }

    /// Makes the chunk that begins at index `from`; how many entries that is, 0 at the bound.
    pub(super) fn grow(&self, from: u32) -> u32 {
        let chunk = from / CHUNK;
        let Some(table) = self.tables.get((chunk / TABLE) as usize) else {
            return 0;
        };
        let table = table.get_or_init(|| Box::new([const { OnceLock::new() }; TABLE as usize]));
        table[(chunk % TABLE) as usize].get_or_init(new_chunk);
        CHUNK
    }
}

fn new_chunk() -> Chunk {
    let entries: Box<[Entry]> = (0..CHUNK).map(|_| Entry::new()).collect();
    entries.try_into().unwrap_or_else(|_| unreachable!("a chunk has as many entries as a chunk"))
}

#[cfg(not(heist_loom))]
const CHUNK: u32 = 1 << 10;
#[cfg(not(heist_loom))]
const TABLE: u32 = 1 << 7;
#[cfg(not(heist_loom))]
const TABLES: u32 = 1 << 7;

#[cfg(heist_loom)]
const CHUNK: u32 = 1;
#[cfg(heist_loom)]
const TABLE: u32 = 2;
#[cfg(heist_loom)]
const TABLES: u32 = 1;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const BOUND: u32 = TABLES * TABLE * CHUNK;

    #[test]
    fn a_queue_holds_16_million_timers() {
        assert_eq!(BOUND, 1 << 24);
    }

    #[test]
    fn the_table_ends_at_its_bound() {
        let entries = Entries::new();
        assert_eq!(entries.grow(BOUND - CHUNK), CHUNK);
        let _ = entries.at(BOUND - 1);
        assert_eq!(entries.grow(BOUND), 0);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_entry_costs_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }
}
