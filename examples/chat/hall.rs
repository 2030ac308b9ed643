//! All people and all rooms: what the connections share.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::room::{Message, Person, Room};

pub(crate) struct Hall {
    /// How long the output of a slow reader may wait.
    pub(crate) patience: Duration,
    /// How many lines a second each person may post.
    pub(crate) share: u32,
    max_people: usize,
    people: Mutex<People>,
    /// Rooms with people in them. Joining and leaving is done under this lock, so that no person
    /// joins a room that is just being removed.
    rooms: Mutex<Rooms>,
}

#[derive(Default)]
struct People {
    by_name: HashMap<String, Arc<Person>>,
    guests: u64,
}

#[derive(Default)]
struct Rooms {
    by_name: BTreeMap<String, Arc<Room>>,
    ever: u64,
}

/// Why a command was refused. The text is for the person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the server is full, try again later")]
    Full,
    #[error("a name has 1 to {MAX_NAME} letters, digits, - and _")]
    BadName,
    #[error("the name {0} is taken")]
    Taken(String),
    #[error("there are {MAX_ROOMS} rooms, join one of them: /rooms lists them")]
    TooManyRooms,
}

impl Hall {
    pub(crate) fn new(max_people: usize, patience: Duration, share: u32) -> Hall {
        let (people, rooms) = Default::default();
        Hall { patience, share, max_people, people, rooms }
    }

    /// Adds a new person, under a free name.
    pub(crate) fn enter(&self, person: &Arc<Person>) -> Result<(), Refusal> {
        let mut people = self.people.lock();
        if people.by_name.len() >= self.max_people {
            return Err(Refusal::Full);
        }
        loop {
            people.guests += 1;
            let name = format!("guest{}", people.guests);
            if let Entry::Vacant(free) = people.by_name.entry(name) {
                person.set_name(free.key());
                free.insert(Arc::clone(person));
                return Ok(());
            }
        }
    }

    /// Frees the name of a person. Another person may have it already, if this one left before.
    pub(crate) fn exit(&self, person: &Arc<Person>) {
        if let Entry::Occupied(taken) = self.people.lock().by_name.entry(person.name())
            && Arc::ptr_eq(taken.get(), person)
        {
            taken.remove();
        }
    }

    /// Asks all people to leave.
    pub(crate) fn close(&self) {
        let people: Vec<_> = self.people.lock().by_name.values().cloned().collect();
        people.iter().for_each(|person| person.send(Message::Closing));
    }

    /// Renames a person, and returns the old name.
    pub(crate) fn rename(&self, person: &Arc<Person>, name: &str) -> Result<String, Refusal> {
        check_name(name)?;
        let mut people = self.people.lock();
        match people.by_name.entry(name.to_owned()) {
            Entry::Occupied(_) => return Err(Refusal::Taken(name.to_owned())),
            Entry::Vacant(free) => free.insert(Arc::clone(person)),
        };
        let old = person.name();
        people.by_name.remove(&old);
        person.set_name(name);
        Ok(old)
    }

    /// Joins the room of that name, which is created if there is none.
    pub(crate) fn join(&self, person: &Arc<Person>, name: &str) -> Result<Arc<Room>, Refusal> {
        check_name(name)?;
        let mut rooms = self.rooms.lock();
        let room = match rooms.by_name.get(name) {
            Some(room) => Arc::clone(room),
            None if rooms.by_name.len() >= MAX_ROOMS => return Err(Refusal::TooManyRooms),
            None => {
                rooms.ever += 1;
                let room = Arc::new(Room::new(rooms.ever, name));
                rooms.by_name.insert(name.to_owned(), Arc::clone(&room));
                room
            }
        };
        let members = room.add(person);
        drop(rooms);
        room.announce(members, format_args!("* {} joined {}", person.name(), room.name));
        Ok(room)
    }

    pub(crate) fn leave(&self, person: &Arc<Person>, room: &Arc<Room>) {
        let mut rooms = self.rooms.lock();
        let members = room.remove(person);
        if members == 0 {
            rooms.by_name.remove(&room.name);
        }
        drop(rooms);
        room.announce(members, format_args!("* {} left {}", person.name(), room.name));
    }

    /// Some rooms, and how many more there are.
    pub(crate) fn rooms(&self, most: usize) -> (Vec<Arc<Room>>, usize) {
        let rooms = self.rooms.lock();
        let some: Vec<Arc<Room>> = rooms.by_name.values().take(most).cloned().collect();
        let more = rooms.by_name.len() - some.len();
        (some, more)
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let allowed = |char: char| char.is_alphanumeric() || char == '-' || char == '_';
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(allowed);
    if fits { Ok(()) } else { Err(Refusal::BadName) }
}

const MAX_NAME: usize = 20;

const MAX_ROOMS: usize = 1000;
