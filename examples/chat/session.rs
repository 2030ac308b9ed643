//! What a person does: says lines, and gives commands.

use std::fmt;
use std::sync::Arc;

use async_channel::Receiver;
use heist::time::{Instant, sleep_until};

use crate::hall::{Hall, Refusal};
use crate::lines::{Line, MAX_LINE};
use crate::person::{Person, Word};
use crate::room::Room;
use crate::share::Share;

pub(crate) struct Session {
    hall: Arc<Hall>,
    me: Arc<Person>,
    /// Where this person is; nowhere when coming and going.
    room: Option<Arc<Room>>,
    share: Share,
}

/// What comes after a line.
#[derive(PartialEq, Eq)]
pub(crate) enum Next {
    Line,
    /// The person leaves.
    Leave,
    /// The chat closes.
    Close,
}

impl Session {
    /// Gives a new person a name. The words are for its connection.
    pub(crate) fn enter(hall: &Arc<Hall>) -> Result<(Session, Receiver<Word>), Refusal> {
        let (me, words) = Person::new();
        hall.enter(&me)?;
        let share = Share::new(hall.share);
        Ok((Session { hall: Arc::clone(hall), me, room: None, share }, words))
    }

    pub(crate) fn person(&self) -> Arc<Person> {
        Arc::clone(&self.me)
    }

    /// The first word is ours: a client that waits for it finds out that it is connected.
    pub(crate) async fn begin(&mut self) {
        let name = self.me.name();
        self.answer(format!("Welcome, {name}. Say something; /help lists the rest.")).await;
        self.join("lobby").await;
    }

    pub(crate) async fn line(&mut self, line: Line) -> Next {
        let Line::Whole(line) = line else {
            return self.complain(format!("a line has at most {MAX_LINE} bytes")).await;
        };
        let Ok(line) = std::str::from_utf8(&line) else {
            return self.complain("a line has to be UTF-8").await;
        };
        let line = line.trim_end();
        if line.chars().any(char::is_control) {
            // They would do things to other people's terminals.
            return self.complain("a line has no control characters").await;
        }
        match line.strip_prefix('/') {
            Some(command) => return self.command(command).await,
            None if line.is_empty() => {}
            None => self.say(line).await,
        }
        Next::Line
    }

    async fn say(&mut self, line: &str) {
        self.take_share().await;
        if let Some(room) = &self.room {
            room.say(&format!("{}: {line}", self.me.name())).await;
        }
    }

    /// Waits for a line's worth of this person's share, before anything that others will hear.
    /// Meanwhile no further line is read.
    async fn take_share(&mut self) {
        while let Err(wait) = self.share.take(Instant::now()) {
            if wait.first {
                let share = self.hall.share;
                let text = format!("slow down to {share} lines a second; the rest waits its turn");
                self.complain(text).await;
            }
            sleep_until(wait.until).await;
        }
    }

    async fn command(&mut self, command: &str) -> Next {
        let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("name", name) => self.rename(name).await,
            ("join", room) => {
                self.take_share().await;
                self.join(room).await;
            }
            ("who", "") => self.who().await,
            ("rooms", "") => self.rooms().await,
            ("help", "") => self.answer(HELP).await,
            ("quit", "") => {
                self.leave();
                self.answer("Goodbye.").await;
                return Next::Leave;
            }
            ("who" | "rooms" | "help" | "quit", _) => {
                self.complain(format!("/{name} takes no argument")).await;
            }
            _ => {
                self.complain(format!("there is no /{name}; /help lists what there is")).await;
            }
        }
        Next::Line
    }

    async fn rename(&mut self, name: &str) {
        let old = match self.hall.rename(&self.me, name) {
            Ok(old) => old,
            Err(refusal) => {
                self.complain(refusal).await;
                return;
            }
        };
        self.take_share().await;
        self.answer(format!("You are {name}.")).await;
        if let Some(room) = &self.room {
            room.announce(room.members().len(), format_args!("* {old} is now {name}"));
        }
    }

    async fn join(&mut self, name: &str) {
        if self.room.as_ref().is_some_and(|room| room.name == name) {
            self.complain(format!("you are in {name}")).await;
            return;
        }
        let room = match self.hall.join(&self.me, name) {
            Ok(room) => room,
            Err(refusal) => {
                self.complain(refusal).await;
                return;
            }
        };
        self.leave();
        self.room = Some(Arc::clone(&room));
        let members = room.members().len();
        // Nothing of the room comes before this, and all of it from here on.
        let others = members - 1;
        self.me.send(Word::Answer(format!("You are in {name}, with {others} others.\n")));
        self.me.set_room(room.id);
        room.announce(members, format_args!("* {} joined {name}", self.me.name()));
        self.me.sent().await;
    }

    /// Hears nothing more of the room.
    pub(crate) fn leave(&mut self) {
        self.me.set_room(0);
        if let Some(room) = self.room.take() {
            self.hall.leave(&self.me, &room);
        }
    }

    async fn who(&self) {
        let Some(room) = &self.room else { return };
        let members = room.members();
        let names: Vec<String> = members.iter().take(LISTED).map(|member| member.name()).collect();
        let more = match members.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.answer(format!("In {}: {}{more}", room.name, names.join(", "))).await;
    }

    async fn rooms(&self) {
        let line = |(name, members)| format!("{name}, {members} in it");
        let lines: Vec<String> = self.hall.rooms().into_iter().map(line).collect();
        self.answer(lines.join("\n")).await;
    }

    /// Answers this person alone, and waits until that is sent.
    pub(crate) async fn answer(&self, text: impl Into<String>) {
        self.me.send(Word::Answer(text.into() + "\n"));
        self.me.sent().await;
    }

    /// What a person did wrong, in one line, which nobody else can say: names have no `!`.
    async fn complain(&self, text: impl fmt::Display + Send) -> Next {
        self.answer(format!("! {text}")).await;
        Next::Line
    }
}

/// Also where the connection ends without a word.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
        self.hall.exit(&self.me);
    }
}

const HELP: &str = "\
/name NAME    be called NAME
/join ROOM    go to another room, which is made if there is none
/who          who is here
/rooms        which rooms there are
/quit         leave";

/// How many names /who lists.
const LISTED: usize = 100;
