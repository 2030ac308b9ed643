//! One person's connection: lines in, lines out.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use heist::protocol::{Closed, Context, Error, Protocol, Sender};

use crate::hall::Hall;
use crate::room::{Busy, News, Person, Room};

pub(crate) struct Session {
    hall: Arc<Hall>,
    me: Arc<Person>,
    /// Where this person is; nowhere when coming and going.
    room: Option<Arc<Room>>,
    /// The rest of a line that is too long is still to come.
    skipping: bool,
    /// More waits for this reader than may; the deadline says for how long it may.
    slow: bool,
}

impl Protocol for Session {
    type Message = News;

    /// The first word is ours: a client that waits for it finds out that it is connected.
    fn opened(&mut self, cx: &mut Context<'_>) {
        if let Err(refusal) = self.hall.enter(&self.me) {
            complain(cx, refusal);
            return cx.close();
        }
        tell(cx, format_args!("Welcome, {}. Say something; /help lists the rest.", self.me.name()));
        self.join("lobby", cx);
    }

    /// Takes one line.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let end = memchr::memchr(b'\n', input);
        let line = &input[..end.unwrap_or(input.len())];
        if end.is_none() && line.len() <= MAX_LINE && !self.skipping {
            return Ok(0);
        }
        let too_long = line.len() > MAX_LINE;
        match (self.skipping, too_long) {
            (true, _) => {}
            (false, true) => complain(cx, format_args!("a line has at most {MAX_LINE} bytes")),
            (false, false) => self.line(line, cx),
        }
        // What is too long is thrown away as it comes: nobody has to keep it to its end.
        self.skipping = end.is_none();
        self.watch(cx);
        Ok(end.map_or(input.len(), |end| end + 1))
    }

    /// What was said in the room.
    fn message(&mut self, news: News, cx: &mut Context<'_>) {
        if self.me.has_missed_something() {
            return self.drop_slow(cx);
        }
        if self.room.as_ref().is_some_and(|room| room.id == news.room) {
            cx.write(&news.text);
            self.watch(cx);
        }
    }

    /// The reader has caught up.
    fn writable(&mut self, cx: &mut Context<'_>) {
        self.slow = false;
        cx.set_deadline(None);
    }

    /// The reader has not. Unlike messages, a deadline comes also while nothing more is sent.
    fn deadline(&mut self, cx: &mut Context<'_>) {
        self.drop_slow(cx);
    }

    /// The server ends.
    fn draining(&mut self, cx: &mut Context<'_>) {
        tell(cx, "* the chat closes; goodbye");
        cx.close();
    }

    fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        if !rest.is_empty() && !self.skipping {
            self.line(rest, cx);
        }
        cx.close();
    }

    fn closed(&mut self, _: &Closed) {
        self.leave();
        self.hall.exit(&self.me);
    }
}

impl Session {
    pub(crate) fn new(hall: Arc<Hall>, inbox: Sender<News>) -> Session {
        let me = Arc::new(Person::new(inbox));
        Session { hall, me, room: None, skipping: false, slow: false }
    }

    fn line(&mut self, line: &[u8], cx: &mut Context<'_>) {
        let Ok(line) = std::str::from_utf8(line) else {
            return complain(cx, "a line has to be UTF-8");
        };
        let line = line.trim_end();
        if line.chars().any(char::is_control) {
            // They would do things to other people's terminals.
            return complain(cx, "a line has no control characters");
        }
        match line.strip_prefix('/') {
            Some(command) => self.command(command, cx),
            None if line.is_empty() => {}
            None => self.say(line, cx),
        }
    }

    fn say(&mut self, line: &str, cx: &mut Context<'_>) {
        let Some(room) = &self.room else { return complain(cx, "you are in no room: /join one") };
        if let Err(Busy) = room.say(format_args!("{}: {line}", self.me.name())) {
            complain(cx, "too much is being said here; that was not");
        }
    }

    fn command(&mut self, command: &str, cx: &mut Context<'_>) {
        let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("name", name) => self.rename(name, cx),
            ("join", room) => self.join(room, cx),
            ("who", "") => self.who(cx),
            ("rooms", "") => self.rooms(cx),
            ("help", "") => cx.write(HELP.as_bytes()),
            ("quit", "") => {
                tell(cx, "Goodbye.");
                cx.close();
            }
            ("who" | "rooms" | "help" | "quit", _) => {
                complain(cx, format_args!("/{name} takes no argument"));
            }
            _ => complain(cx, format_args!("there is no /{name}; /help lists what there is")),
        }
    }

    fn rename(&mut self, name: &str, cx: &mut Context<'_>) {
        let old = match self.hall.rename(&self.me, name) {
            Ok(old) => old,
            Err(refusal) => return complain(cx, refusal),
        };
        tell(cx, format_args!("You are {name}."));
        if let Some(room) = &self.room {
            room.announce(room.members().len(), format_args!("* {old} is now {name}"));
        }
    }

    fn join(&mut self, name: &str, cx: &mut Context<'_>) {
        if self.room.as_ref().is_some_and(|room| room.name == name) {
            return complain(cx, format_args!("you are in {name}"));
        }
        match self.hall.join(&self.me, name) {
            Ok(room) => {
                self.leave();
                let others = room.members().len() - 1;
                tell(cx, format_args!("You are in {name}, with {others} others."));
                self.room = Some(room);
            }
            Err(refusal) => complain(cx, refusal),
        }
    }

    fn leave(&mut self) {
        if let Some(room) = self.room.take() {
            self.hall.leave(&self.me, &room);
        }
    }

    fn who(&mut self, cx: &mut Context<'_>) {
        let Some(room) = &self.room else { return };
        let members = room.members();
        let names: Vec<String> = members.iter().take(LISTED).map(|member| member.name()).collect();
        let more = match members.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        tell(cx, format_args!("In {}: {}{more}", room.name, names.join(", ")));
    }

    fn rooms(&mut self, cx: &mut Context<'_>) {
        for (name, members) in self.hall.rooms() {
            tell(cx, format_args!("{name}, {members} in it"));
        }
    }

    /// If more waits than may, the reader has so long to take it.
    fn watch(&mut self, cx: &mut Context<'_>) {
        if cx.room() == 0 && !self.slow {
            self.slow = true;
            cx.set_deadline_in(self.hall.patience);
        }
    }

    fn drop_slow(&mut self, cx: &mut Context<'_>) {
        self.leave();
        complain(cx, "you read too slowly and have missed something; goodbye");
        cx.close();
    }
}

fn tell(cx: &mut Context<'_>, line: impl fmt::Display) {
    writeln!(cx, "{line}").expect("writing to a context does not fail");
}

/// What a person did wrong, in one line, which nobody else can say: names have no `!`.
fn complain(cx: &mut Context<'_>, line: impl fmt::Display) {
    tell(cx, format_args!("! {line}"));
}

const HELP: &str = "\
/name NAME    be called NAME
/join ROOM    go to another room, which is made if there is none
/who          who is here
/rooms        which rooms there are
/quit         leave
";

/// The longest line.
const MAX_LINE: usize = 1000;

/// How many names /who lists.
const LISTED: usize = 100;
