//! Who is there, and which rooms: what all connections share.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::person::Person;
use crate::room::Room;

pub(crate) struct Hall {
    /// How long a slow reader is waited for.
    pub(crate) patience: Duration,
    /// How many lines a second each person may say.
    pub(crate) share: u32,
    max_people: usize,
    /// Closed with the chat.
    open: (Sender<Infallible>, Receiver<Infallible>),
    names: Mutex<Names>,
    /// Those with somebody in them. Joining and leaving is done under this lock, so that nobody
    /// joins a room that is just being removed.
    rooms: Mutex<Rooms>,
}

#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    guests: u64,
}

#[derive(Default)]
struct Rooms {
    by_name: BTreeMap<String, Arc<Room>>,
    ever: u64,
}

/// Why something was not done. The text is what the person is told.
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
        let (names, rooms) = Default::default();
        Hall { patience, share, max_people, open: bounded(1), names, rooms }
    }

    /// Asks everybody to leave.
    pub(crate) fn close(&self) {
        self.open.0.close();
    }

    /// Waits until the chat closes.
    pub(crate) async fn closing(&self) {
        let _ = self.open.1.recv().await;
    }

    /// Takes a new person in, under a name that nobody has.
    pub(crate) fn enter(&self, person: &Person) -> Result<(), Refusal> {
        let mut names = self.names.lock();
        if names.taken.len() >= self.max_people {
            return Err(Refusal::Full);
        }
        loop {
            names.guests += 1;
            let name = format!("guest{}", names.guests);
            if names.taken.insert(name.clone()) {
                person.set_name(&name);
                return Ok(());
            }
        }
    }

    pub(crate) fn exit(&self, person: &Person) {
        self.names.lock().taken.remove(&person.name());
    }

    /// Gives a person another name, and returns the old one.
    pub(crate) fn rename(&self, person: &Person, name: &str) -> Result<String, Refusal> {
        check_name(name)?;
        let mut names = self.names.lock();
        if !names.taken.insert(name.to_owned()) {
            return Err(Refusal::Taken(name.to_owned()));
        }
        let old = person.name();
        names.taken.remove(&old);
        person.set_name(name);
        Ok(old)
    }

    /// Joins the room of that name, which is made if there is none.
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
        room.join(person);
        Ok(room)
    }

    pub(crate) fn leave(&self, person: &Arc<Person>, room: &Arc<Room>) {
        let mut rooms = self.rooms.lock();
        if room.leave(person) == 0 {
            rooms.by_name.remove(&room.name);
        }
    }

    /// Each room, and how many are in it.
    pub(crate) fn rooms(&self) -> Vec<(String, usize)> {
        let rooms = self.rooms.lock();
        rooms.by_name.values().map(|room| (room.name.clone(), room.members().len())).collect()
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let allowed = |char: char| char.is_alphanumeric() || char == '-' || char == '_';
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(allowed);
    if fits { Ok(()) } else { Err(Refusal::BadName) }
}

const MAX_NAME: usize = 20;

const MAX_ROOMS: usize = 1000;
