//! One person's task: two loops, one for each direction of the connection.
//!
//! The one [takes lines](talk) and does what they say. It waits wherever it has to: for the person's
//! share of the room, for the room, until an answer is sent. Meanwhile it reads nothing, the socket's
//! buffers fill, and the program at the other end has to stop. That is all of the back-pressure. The
//! other one [writes](Voice::speak) what the person is to hear, and does not wait for the first.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use futures_lite::future::or;
use heist::net::{ReadHalf, Stream, WriteHalf};
use heist::time::{Instant, timeout, timeout_at};

use crate::hall::Hall;
use crate::lines::Lines;
use crate::person::{Person, Word};
use crate::session::{Next, Session};

/// Serves a person from the welcome to the last word.
///
/// It may be dropped at any time: by the server where nothing happens for too long, and where the
/// grace of a shutdown ends. Leaving the room is the destructor of the [`Session`].
pub(crate) async fn attend(hall: Arc<Hall>, mut stream: Stream) -> io::Result<()> {
    let (mut input, output) = stream.split();
    let mut voice = Voice { output, patience: hall.patience };
    let last_words = match Session::enter(&hall) {
        Ok(session) => converse(&hall, session, &mut input, &mut voice).await?,
        Err(refusal) => format!("! {refusal}\n").into_bytes(),
    };
    voice.say(&last_words).await?;
    part(&mut input, &mut voice.output).await
}

/// Runs both loops until one ends. Returns what is still to be sent then; the room does not wait for
/// that, the session has ended.
async fn converse(
    hall: &Hall,
    (mut session, words): (Session, Receiver<Word>),
    input: &mut ReadHalf<'_>,
    voice: &mut Voice<'_>,
) -> io::Result<Vec<u8>> {
    let me = session.person();
    let talking = async {
        talk(hall, &mut session, Lines::new(input)).await?;
        // The other loop ends when it comes to this.
        me.send(Word::Last);
        pending().await
    };
    or(voice.speak(&me, &words), talking).await
}

/// Takes lines until the person has had enough, or the chat closes.
async fn talk(hall: &Hall, session: &mut Session, mut lines: Lines<'_, '_>) -> io::Result<()> {
    let listening = async {
        session.begin().await;
        while let Some(line) = lines.next().await? {
            if session.line(line).await == Next::Leave {
                break;
            }
        }
        io::Result::Ok(Next::Leave)
    };
    let closing = async {
        hall.closing().await;
        Ok(Next::Close)
    };
    if or(closing, listening).await? == Next::Close {
        // Nothing of the room comes behind the last word.
        session.leave();
        session.answer("* the chat closes; goodbye").await;
    }
    Ok(())
}

/// What writes to the person.
struct Voice<'a> {
    output: WriteHalf<'a>,
    /// How long the reader may take for what is written at once.
    patience: Duration,
}

impl Voice<'_> {
    /// Writes one word after the other until the last, or until the reader turns out to be too slow:
    /// it has missed something, or does not take what it is sent. Returns what is still to be written.
    async fn speak(&mut self, me: &Person, words: &Receiver<Word>) -> io::Result<Vec<u8>> {
        while let Ok(word) = words.recv().await {
            let rest = match word {
                Word::Last => break,
                Word::Answer(text) => {
                    let rest = self.say(text.as_bytes()).await?.to_vec();
                    me.note_sent();
                    rest
                }
                Word::Said(..) if me.has_missed_something() => return Ok(SLOW.to_vec()),
                Word::Said(room, text) if me.hears(room) => self.say(&text).await?.to_vec(),
                Word::Said(..) => continue,
            };
            if !rest.is_empty() {
                return Ok([&rest, SLOW].concat());
            }
        }
        Ok(Vec::new())
    }

    /// Writes a text, and returns what of it was not taken in time.
    async fn say<'t>(&mut self, text: &'t [u8]) -> io::Result<&'t [u8]> {
        let mut rest = text;
        let end = Instant::now() + self.patience;
        while !rest.is_empty() {
            match timeout_at(end, self.output.write(rest)).await {
                Ok(written) => rest = &rest[written?..],
                Err(_) => break,
            }
        }
        Ok(rest)
    }
}

/// Says that this was the end, and reads on for a while. Closed with input unread, the connection
/// would be reset, and the person lose the last words.
async fn part(input: &mut ReadHalf<'_>, output: &mut WriteHalf<'_>) -> io::Result<()> {
    output.shutdown()?;
    let discard = async {
        while input.read(&mut [0; 512]).await? > 0 {}
        Ok(())
    };
    timeout(LINGER, discard).await.unwrap_or(Ok(()))
}

const SLOW: &[u8] = b"! you read too slowly and have missed something; goodbye\n";

/// How long a person may take to hang up.
const LINGER: Duration = Duration::from_secs(2);
