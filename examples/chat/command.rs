//! Commands: the lines that begin with `/`.

use heist::protocol::Context;

use crate::session::{Session, tell, warn};

impl Session {
    pub(crate) fn command(&mut self, command: &str, cx: &mut Context<'_>) {
        let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("name", name) => self.rename(name, cx),
            ("join", room) => self.join(room, cx),
            ("who", "") => self.who(cx),
            ("rooms", "") => self.rooms(cx),
            ("help", "") => cx.write(HELP.as_bytes()),
            ("quit", "") => {
                tell(cx, "Goodbye.");
                self.depart(cx);
            }
            ("who" | "rooms" | "help" | "quit", _) => {
                warn(cx, format_args!("/{name} takes no argument"));
            }
            _ => warn(cx, format_args!("there is no /{name}; /help lists what there is")),
        }
    }

    fn rename(&mut self, name: &str, cx: &mut Context<'_>) {
        let old = match self.hall.rename(&self.me, name) {
            Ok(old) => old,
            Err(refusal) => return warn(cx, refusal),
        };
        // This costs the next line a share, as the others receive it.
        self.paid = false;
        tell(cx, format_args!("You are {name}."));
        if let Some(room) = &self.room {
            room.announce(room.members().len(), format_args!("* {old} is now {name}"));
        }
    }

    pub(crate) fn join(&mut self, name: &str, cx: &mut Context<'_>) {
        if self.room.as_ref().is_some_and(|room| room.name == name) {
            return warn(cx, format_args!("you are in {name}"));
        }
        match self.hall.join(&self.me, name) {
            Ok(room) => {
                self.paid = false;
                self.leave();
                let others = room.members().len() - 1;
                tell(cx, format_args!("You are in {name}, with {others} others."));
                self.room = Some(room);
            }
            Err(refusal) => warn(cx, refusal),
        }
    }

    fn who(&self, cx: &mut Context<'_>) {
        let Some(room) = &self.room else { return };
        let members = room.members();
        let names: Vec<String> = members.iter().take(LISTED).map(|member| member.name()).collect();
        let more = match members.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        tell(cx, format_args!("In {}: {}{more}", room.name, names.join(", ")));
    }

    fn rooms(&self, cx: &mut Context<'_>) {
        let (rooms, more) = self.hall.rooms(LISTED);
        for room in rooms {
            tell(cx, format_args!("{}, {} in it", room.name, room.members().len()));
        }
        if more > 0 {
            tell(cx, format_args!("and {more} more"));
        }
    }
}

const HELP: &str = "\
/name NAME    be called NAME
/join ROOM    go to another room, which is made if there is none
/who          who is here
/rooms        which rooms there are
/quit         leave
";

/// How many names /who lists, and how many rooms /rooms.
const LISTED: usize = 100;
