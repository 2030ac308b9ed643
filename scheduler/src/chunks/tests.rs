//! The table against a model, and the memory that it gives back.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Values come and go in runs, so that chunks fill and empty.
    #[test]
    fn table_holds_what_a_map_does(
        runs in prop::collection::vec((any::<bool>(), 1..400_usize, any::<usize>()), 0..16),
    ) {
        let (mut table, mut model) = (Chunks::new(), BTreeMap::new());
        let mut serial = 0;
        for (comes, count, pick) in runs {
            for step in 0..count {
                if comes {
                    serial += 1;
                    prop_assert_eq!(model.insert(table.insert(serial), serial), None);
                } else if !model.is_empty() {
                    let at = pick.wrapping_mul(step + 1) % model.len();
                    let (&key, &value) = model.iter().nth(at).unwrap();
                    model.remove(&key);
                    prop_assert_eq!(table.remove(key), value);
                    prop_assert!(table.get(key).is_none());
                }
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert!(table.iter().eq(model.iter().map(|(key, value)| (*key, value))));
            let held = model.keys().map(|key| key / CHUNK).collect::<std::collections::BTreeSet<_>>();
            prop_assert!(table.places() <= (held.len() + 1) * CHUNK, "one empty chunk is kept");
        }
    }
}

/// Failure: the table of a crowd was kept as long as one of it was left.
#[test]
fn survivors_of_a_crowd_hold_a_chunk_each_wherever_they_are() {
    let mut table = Chunks::new();
    let keys: Vec<_> = (0..100_000).map(|number| table.insert(number)).collect();
    let survivors = [0, 70_000, 99_999];
    for &key in keys.iter().filter(|key| !survivors.contains(key)) {
        table.remove(key);
    }
    assert!(table.places() <= (survivors.len() + 1) * CHUNK);
    survivors.iter().for_each(|key| assert_eq!(table.remove(*key), *key));
    assert_eq!((table.places(), table.chunks.len()), (CHUNK, 1));
    assert!(table.chunks.capacity() <= 8);
}

#[test]
fn new_values_fill_the_lowest_chunks_so_that_the_highest_become_empty() {
    let mut table = Chunks::new();
    (0..10 * CHUNK).for_each(|number| assert_eq!(table.insert(number), number));
    (0..3).for_each(|number| assert_eq!(table.remove(number), number));
    table.remove(9 * CHUNK + 5);
    let keys: Vec<_> = (0..4).map(|number| table.insert(number)).collect();
    assert!(keys[..3].iter().all(|key| *key < 3), "{keys:?}");
    assert_eq!(keys[3], 9 * CHUNK + 5);
}

#[test]
#[should_panic(expected = "there is nothing under key 0")]
fn nothing_is_removed_twice() {
    let mut table = Chunks::new();
    let key = table.insert(());
    table.remove(key);
    table.remove(key);
}

#[test]
fn value_that_comes_and_goes_allocates_nothing() {
    let mut table = Chunks::new();
    (0..CHUNK).for_each(|key| assert_eq!(table.insert(()), key));
    let mut freed = 0;
    for _ in 0..10 {
        let key = table.insert(());
        table.remove_with(key, |_| freed += 1);
    }
    assert_eq!((freed, table.places()), (0, 2 * CHUNK));
}

#[test]
fn hash_table_of_a_crowd_is_trimmed() {
    let mut map: HashMap<usize, ()> = (0..100_000).map(|key| (key, ())).collect();
    for key in 3..100_000 {
        map.remove(&key);
        if let Some(capacity) = trimmed(map.len(), map.capacity()) {
            map.shrink_to(capacity);
        }
    }
    assert!(map.len() == 3 && map.capacity() <= 2 * KEPT_IN_TABLES, "{}", map.capacity());
}
