//! One person's connection: lines in, lines out, and how they wait.

use std::fmt;
use std::io::Write;
use std::mem;
use std::sync::Arc;

use heist::protocol::{CloseReason, Context, Error, Protocol, Sender};
use heist::time::Instant;

use crate::hall::Hall;
use crate::room::{Full, Message, Person, Room};
use crate::share::Share;

pub(crate) struct Session {
    pub(crate) hall: Arc<Hall>,
    pub(crate) me: Arc<Person>,
    /// The room of this person; `None` before the first and after the last.
    pub(crate) room: Option<Arc<Room>>,
    share: Share,
    /// The line at the front of the input is paid for. A line that the others do not receive leaves
    /// that to the next one.
    pub(crate) paid: bool,
    /// The line at the front of the input waits until the room has space for it.
    waiting: bool,
    /// That line, if the input has ended after it.
    last: Option<Vec<u8>>,
    /// The rest of a line that is too long is being discarded.
    skipping: bool,
    /// More output waits for this reader than the watermark; the deadline bounds that.
    slow: bool,
}

impl Protocol for Session {
    type Message = Message;

    /// The server sends first, so that a client sees that it is connected.
    fn opened(&mut self, cx: &mut Context<'_>) {
        if let Err(refusal) = self.hall.enter(&self.me) {
            warn(cx, refusal);
            return cx.close();
        }
        tell(cx, format_args!("Welcome, {}. Say something; /help lists the rest.", self.me.name()));
        self.join("lobby", cx);
    }

    /// Takes one line.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let taken = self.take_line(input, cx);
        self.watch(cx);
        Ok(taken)
    }

    /// The last line needs no line feed. It is paid for and not too long: `received` has checked
    /// it.
    fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        match self.skipping || rest.is_empty() {
            true => self.depart(cx),
            false => self.take_last(rest, cx),
        }
    }

    fn message(&mut self, message: Message, cx: &mut Context<'_>) {
        match message {
            Message::Lines(..) if self.me.has_missed_something() => return self.drop_slow(cx),
            Message::Lines(room, text) => self.deliver(room, &text, cx),
            Message::Closing => {
                tell(cx, "* the chat closes; goodbye");
                return cx.close();
            }
        }
        if mem::take(&mut self.waiting) {
            match self.last.take() {
                Some(line) => self.take_last(&line, cx),
                None => cx.resume_reading(),
            }
        }
    }

    /// The reader has caught up.
    fn writable(&mut self, cx: &mut Context<'_>) {
        self.slow = false;
        cx.set_deadline(None);
    }

    /// The reader has not. Unlike messages, a deadline also fires while nothing more is sent.
    fn deadline(&mut self, cx: &mut Context<'_>) {
        self.drop_slow(cx);
    }

    fn limit_reached(&mut self, reason: &CloseReason, cx: &mut Context<'_>) {
        warn(cx, format_args!("{reason}; goodbye"));
    }

    fn closed(&mut self, _: &CloseReason) {
        self.exit();
    }
}

impl Session {
    pub(crate) fn new(hall: Arc<Hall>, inbox: Sender<Message>) -> Session {
        let (me, share) = (Arc::new(Person::new(inbox)), Share::new(hall.share));
        let (room, last) = (None, None);
        let (paid, waiting, skipping, slow) = (false, false, false, false);
        Session { hall, me, room, share, paid, waiting, last, skipping, slow }
    }

    /// Returns how many bytes of the input are consumed: 0 if the line is incomplete or has to
    /// wait. In that case the input is paused, so that the sockets' buffers fill and the peer has
    /// to stop.
    fn take_line(&mut self, input: &[u8], cx: &mut Context<'_>) -> usize {
        let end = memchr::memchr(b'\n', input);
        let line = without_cr(&input[..end.unwrap_or(input.len())]);
        let taken = end.map_or(input.len(), |end| end + 1);
        if self.skipping {
            self.skipping = end.is_none();
            return taken;
        }
        if !self.pay(cx) {
            return 0;
        }
        if line.len() > MAX_LINE {
            warn(cx, format_args!("a line has at most {MAX_LINE} bytes"));
            // It is discarded as it arrives, without memory for the whole line.
            self.skipping = end.is_none();
            return taken;
        }
        if end.is_none() {
            return 0;
        }
        match self.line(line, cx) {
            Ok(()) => taken,
            Err(Full) => {
                self.waiting = true;
                cx.pause_reading(Instant::FAR_FUTURE);
                0
            }
        }
    }

    /// Takes the last line of the input, then ends the session; now or when the room has space.
    fn take_last(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        match self.line(without_cr(rest), cx) {
            Ok(()) => self.depart(cx),
            Err(Full) => {
                self.waiting = true;
                self.last = Some(rest.to_vec());
            }
        }
    }

    /// Pays for the next line out of this person's share. If that is used up, the input is paused
    /// until it is not.
    fn pay(&mut self, cx: &mut Context<'_>) -> bool {
        if self.paid {
            return true;
        }
        match self.share.take(cx.now()) {
            Ok(()) => self.paid = true,
            Err(wait) => {
                if wait.first {
                    let share = self.hall.share;
                    let rule = format_args!("slow down to {share} lines a second");
                    warn(cx, format_args!("{rule}; the rest waits its turn"));
                }
                cx.pause_reading(wait.until);
            }
        }
        self.paid
    }

    /// Posts a line, or executes a command.
    fn line(&mut self, line: &[u8], cx: &mut Context<'_>) -> Result<(), Full> {
        match std::str::from_utf8(line).map(str::trim_end) {
            Err(_) => warn(cx, "a line has to be UTF-8"),
            Ok(line) if line.chars().any(disturbs_terminals) => {
                warn(cx, "a line has no control characters");
            }
            Ok("") => {}
            Ok(line) => match line.strip_prefix('/') {
                Some(command) => self.command(command, cx),
                None => return self.post(line),
            },
        }
        Ok(())
    }

    fn post(&mut self, line: &str) -> Result<(), Full> {
        if let Some(room) = &self.room {
            room.post(format_args!("{}: {line}", self.me.name()))?;
        }
        self.paid = false;
        Ok(())
    }

    fn deliver(&mut self, room: u64, text: &[u8], cx: &mut Context<'_>) {
        if self.room.as_ref().is_some_and(|here| here.id == room) {
            cx.write(text);
            self.watch(cx);
        }
    }

    pub(crate) fn leave(&mut self) {
        if let Some(room) = self.room.take() {
            self.hall.leave(&self.me, &room);
        }
    }

    /// Closes the connection once its output is sent. Room and name are free at once.
    pub(crate) fn depart(&mut self, cx: &mut Context<'_>) {
        self.exit();
        cx.close();
    }

    fn exit(&mut self) {
        self.leave();
        self.hall.exit(&self.me);
    }

    /// Sets the deadline of a slow reader, if there is more output than the watermark.
    fn watch(&mut self, cx: &mut Context<'_>) {
        if cx.room() == 0 && !self.slow {
            self.slow = true;
            cx.set_deadline_in(self.hall.patience);
        }
    }

    fn drop_slow(&mut self, cx: &mut Context<'_>) {
        warn(cx, "you read too slowly and have missed something; goodbye");
        self.depart(cx);
    }
}

/// Whether a character changes how a terminal shows others: control characters, and those that
/// change the direction of text or end a line, so that one person's line could look like another's.
fn disturbs_terminals(char: char) -> bool {
    let format = '\u{2028}'..='\u{202e}';
    let isolates = '\u{2066}'..='\u{2069}';
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{61c}')
        || format.contains(&char)
        || isolates.contains(&char)
}

/// The end of a line is LF or CRLF.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Writes a line to this person.
pub(crate) fn tell(cx: &mut Context<'_>, line: impl fmt::Display) {
    writeln!(cx, "{line}").expect("writing to a context does not fail");
}

/// Writes a warning, which no other person can imitate: names have no `!`.
pub(crate) fn warn(cx: &mut Context<'_>, line: impl fmt::Display) {
    tell(cx, format_args!("! {line}"));
}

/// The longest line, in bytes, without its end.
const MAX_LINE: usize = 1000;
