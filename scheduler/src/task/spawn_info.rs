//! The names and spawn locations of tasks, each kept once for all tasks that share it.
//!
//! Most tasks are spawned at few lines of the source, thousands at each.

use std::collections::HashMap;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use crate::chunks::{self, Chunks};

/// The name of a task, and the line of the source that spawned it.
#[derive(Clone, Debug)]
pub(crate) struct SpawnInfo {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) location: &'static Location<'static>,
}

impl SpawnInfo {
    /// What logs and reports call the task.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("unnamed")
    }
}

/// The spawn infos of live tasks, by number.
#[derive(Default)]
pub(super) struct Interner {
    shared: Chunks<Shared>,
    numbers: HashMap<Identity, u32>,
    /// The number that was given last: usually the next task has the same.
    last: u32,
}

struct Shared {
    info: SpawnInfo,
    /// How many live tasks have it.
    tasks: u32,
}

/// The addresses of name and location. The interner keeps the name alive, so no other name has its
/// address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Identity(usize, usize);

impl Interner {
    /// The number of `info`, for one more task.
    pub(super) fn add(&mut self, info: &SpawnInfo) -> u32 {
        let identity = info.identity();
        if let Some(last) = self.shared.get_mut(self.last as usize)
            && last.info.identity() == identity
        {
            last.tasks += 1;
            return self.last;
        }
        let number = self.find_or_insert(identity, info);
        self.shared[number as usize].tasks += 1;
        self.last = number;
        number
    }

    pub(super) fn at(&self, number: u32) -> &SpawnInfo {
        &self.shared[number as usize].info
    }

    /// A task with this info has ended. Returns the info if it was the last one.
    #[must_use = "the name is to be dropped without the lock"]
    pub(super) fn remove(&mut self, number: u32) -> Option<SpawnInfo> {
        let shared = &mut self.shared[number as usize];
        shared.tasks -= 1;
        if shared.tasks > 0 {
            return None;
        }
        let info = self.shared.remove(number as usize).info;
        self.numbers.remove(&info.identity());
        if let Some(capacity) = chunks::trimmed(self.numbers.len(), self.numbers.capacity()) {
            self.numbers.shrink_to(capacity);
        }
        Some(info)
    }

    fn find_or_insert(&mut self, identity: Identity, info: &SpawnInfo) -> u32 {
        let shared = &mut self.shared;
        *self.numbers.entry(identity).or_insert_with(|| {
            let number = shared.insert(Shared { info: info.clone(), tasks: 0 });
            u32::try_from(number).expect("the bound on live tasks fits in 32 bits")
        })
    }
}

impl SpawnInfo {
    fn identity(&self) -> Identity {
        let name = self.name.as_ref().map_or(0, |name| Arc::as_ptr(name).addr());
        Identity(name, ptr::from_ref(self.location).addr())
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    fn info(name: Option<&Arc<str>>) -> SpawnInfo {
        SpawnInfo { name: name.cloned(), location: Location::caller() }
    }

    #[test]
    fn tasks_of_one_name_and_place_share_them_until_the_last_has_gone() {
        let name: Arc<str> = "worker".into();
        let mut infos = Interner::default();
        let unnamed = infos.add(&info(None));
        let numbers = [(); 3].map(|()| infos.add(&info(Some(&name))));
        assert!(numbers.iter().all(|number| *number == numbers[0] && *number != unnamed));
        assert_eq!((infos.at(numbers[0]).name(), infos.at(unnamed).name()), ("worker", "unnamed"));
        assert!(infos.remove(numbers[0]).is_none());
        assert!(infos.remove(numbers[0]).is_none());
        assert!(infos.remove(numbers[0]).is_some());
        assert!(infos.remove(unnamed).is_some());
        assert!(infos.shared.is_empty() && infos.numbers.is_empty());
    }

    #[test]
    fn name_at_the_address_of_one_that_is_gone_is_not_taken_for_it() {
        let mut infos = Interner::default();
        for round in 0..100 {
            let name: Arc<str> = format!("task {round:3}").into();
            let number = infos.add(&info(Some(&name)));
            drop(name);
            assert_eq!(infos.at(number).name(), format!("task {round:3}"));
            drop(infos.remove(number));
        }
    }
}
