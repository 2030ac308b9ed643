//! The conversation with one peer: a state machine that knows neither sockets nor clocks.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::Duration;

use heist::protocol::{CloseReason, Context, Error, Protocol};
use heist::time::Instant;

use crate::torrent::InfoHash;
use crate::wire::{self, Message, PeerId, Pieces};

/// What the probes report.
#[derive(Debug)]
pub(crate) enum Event {
    Reached(Stage),
    Ended(Report),
    /// A probe waits for a free descriptor or memory; with the system's reason.
    Shortage(String),
}

/// How far a peer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Connected,
    /// It sent its handshake.
    Greeted,
    /// The peer has sent its pieces.
    Known,
    Unchoked,
}

impl Stage {
    pub(crate) const ALL: [Stage; 4] =
        [Stage::Connected, Stage::Greeted, Stage::Known, Stage::Unchoked];
}

/// What became of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) address: SocketAddr,
    pub(crate) client: Option<String>,
    /// How many pieces it has.
    pub(crate) pieces: Option<usize>,
    /// When each [`Stage`] was reached, since the connecting began.
    pub(crate) reached: [Option<Duration>; Stage::ALL.len()],
    /// `None` if it came to the last stage, or has no pieces to unchoke us for.
    pub(crate) failure: Option<String>,
}

/// Probes one peer.
pub(crate) struct Probe {
    state: State,
    info_hash: InfoHash,
    id: PeerId,
    pieces: Pieces,
    /// Whether a whole message came behind the handshake.
    heard: bool,
    /// Whether a part of a message is there.
    inside: bool,
    /// Whether that part begins a message about pieces.
    telling: bool,
    start: Instant,
    /// When the time for everything is up.
    end: Instant,
    report: Report,
    events: Sender<Event>,
}

/// What the probe waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The handshake is sent; the peer's is awaited.
    Handshake,
    /// A bitfield, or a `have` from a peer that sends none; one without pieces may send neither.
    /// `unchoked` is when the peer unchoked us, if it did before it told what it has.
    Pieces { unchoked: Option<Instant> },
    /// `interested` is sent.
    Unchoke,
    /// Nothing more.
    Done,
}

impl State {
    /// The end of "timed out …" and of "closed the connection …".
    fn waiting(self) -> &'static str {
        match self {
            State::Handshake => "waiting for its handshake",
            State::Pieces { .. } => "waiting for its bitfield",
            State::Unchoke => "waiting to be unchoked",
            State::Done => "at the end",
        }
    }
}

impl Probe {
    pub(crate) fn new(
        address: SocketAddr,
        info_hash: InfoHash,
        pieces: usize,
        id: PeerId,
        events: Sender<Event>,
    ) -> Probe {
        let report =
            Report { address, client: None, pieces: None, reached: [None; 4], failure: None };
        Probe {
            state: State::Handshake,
            info_hash,
            id,
            pieces: Pieces::none_of(pieces),
            heard: false,
            inside: false,
            telling: false,
            start: Instant::ZERO,
            end: Instant::ZERO,
            report,
            events,
        }
    }

    /// The connecting began at `start` and was successful; the rest must not take longer than
    /// `timeout` from then on.
    pub(crate) fn connected(mut self, start: Instant, timeout: Duration) -> Probe {
        self.start = start;
        self.end = start + timeout;
        self
    }

    /// There will be no conversation.
    pub(crate) fn failed(mut self, failure: String) {
        self.report.failure = Some(failure);
        self.tell(Event::Ended(self.report.clone()));
    }

    fn reach(&mut self, stage: Stage, at: Instant) {
        // Each worker reads the clock for itself, so the next event may seem a little older.
        let last = self.report.reached.into_iter().flatten().max().unwrap_or_default();
        self.report.reached[stage as usize] = Some(last.max(at - self.start));
        self.tell(Event::Reached(stage));
    }

    fn has_reached(&self, stage: Stage) -> bool {
        self.report.reached[stage as usize].is_some()
    }

    fn tell(&self, event: Event) {
        // The receiver is gone only at the end of the program.
        let _ = self.events.send(event);
    }

    fn on_handshake(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let Some(id) = wire::read_handshake(input, &self.info_hash)? else { return Ok(0) };
        self.report.client = Some(wire::client(&id));
        self.reach(Stage::Greeted, cx.now());
        self.state = State::Pieces { unchoked: None };
        cx.set_deadline(Some(self.end.min(cx.now() + TIME_FOR_PIECES)));
        Ok(wire::HANDSHAKE)
    }

    fn on_message(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let Some((message, length)) = wire::read_message(input, self.pieces.total())? else {
            return Ok(0);
        };
        self.heard = true;
        match message {
            Message::Bitfield(bits) => {
                self.pieces.replace(bits)?;
                self.on_pieces(cx);
            }
            Message::Have(piece) => {
                self.pieces.add(piece)?;
                self.on_pieces(cx);
            }
            Message::HaveEvery(piece) => {
                self.pieces.set_every(piece);
                self.on_pieces(cx);
            }
            Message::Unchoke => self.on_unchoke(cx),
            Message::Choke => self.on_choke(),
            Message::KeepAlive | Message::Other => {}
        }
        Ok(length)
    }

    fn on_pieces(&mut self, cx: &mut Context<'_>) {
        let State::Pieces { unchoked } = self.state else { return };
        if !self.has_reached(Stage::Known) {
            self.reach(Stage::Known, cx.now());
        }
        // Without pieces there is nothing to be interested in, until a `have` comes.
        if self.pieces.count() > 0 {
            cx.write(wire::INTERESTED);
            cx.set_deadline(Some(self.end));
            self.state = State::Unchoke;
            if unchoked.is_some() {
                self.on_unchoke(cx);
            }
        }
    }

    fn on_unchoke(&mut self, cx: &mut Context<'_>) {
        match &mut self.state {
            State::Pieces { unchoked } => *unchoked = Some(cx.now()),
            State::Unchoke => {
                self.reach(Stage::Unchoked, cx.now());
                self.state = State::Done;
                cx.abort();
            }
            State::Handshake | State::Done => {}
        }
    }

    fn on_choke(&mut self) {
        if let State::Pieces { unchoked } = &mut self.state {
            *unchoked = None;
        }
    }

    /// No more input. That is a result if the peer has not sent pieces: it has none, and needs
    /// no bitfield for that (BEP 3).
    fn stop(&mut self, may_be_empty: bool, failure: String) {
        match self.state {
            State::Pieces { unchoked } if may_be_empty => {
                if let Some(at) = unchoked {
                    self.reach(Stage::Unchoked, at);
                }
                self.state = State::Done;
            }
            _ => self.report.failure = Some(failure),
        }
    }
}

impl Protocol for Probe {
    type Message = Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        self.reach(Stage::Connected, cx.now());
        cx.write(&wire::handshake(&self.info_hash, &self.id));
        // One for everything, so a peer that sends a byte a minute does not get more time.
        cx.set_deadline(Some(self.end));
    }

    /// Takes one message; the engine calls again while there are more, so that everything that
    /// came in one segment is dealt with in one turn.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let taken = match self.state {
            State::Handshake => self.on_handshake(input, cx),
            _ => self.on_message(input, cx),
        }?;
        self.inside = taken == 0;
        self.telling = self.inside && wire::begins_pieces(input);
        Ok(taken)
    }

    fn deadline(&mut self, cx: &mut Context<'_>) {
        if self.inside && cx.now() < self.end {
            // It may be a bitfield that is on its way.
            cx.set_deadline(Some(self.end));
            return;
        }
        let failure = format!("timed out {}", self.state.waiting());
        self.stop((self.heard || !self.inside) && !self.telling, failure);
        cx.abort();
    }

    fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        let inside = if rest.is_empty() { "" } else { " inside a message," };
        let failure = format!("it closed the connection,{inside} {}", self.state.waiting());
        self.stop(self.heard && rest.is_empty(), failure);
        cx.abort();
    }

    fn closed(&mut self, reason: &CloseReason) {
        if self.state != State::Done && self.report.failure.is_none() {
            match reason {
                CloseReason::Lost(error) => {
                    let failure = format!("{error}, {}", self.state.waiting());
                    self.stop(self.heard && !self.inside, failure);
                }
                CloseReason::Protocol(error) => self.report.failure = Some(error.to_string()),
                other => self.report.failure = Some(other.to_string()),
            }
        }
        if self.state == State::Done || self.has_reached(Stage::Known) {
            self.report.pieces = Some(self.pieces.count());
        }
        self.tell(Event::Ended(self.report.clone()));
    }
}

/// How long a peer may take to tell of its pieces, if it has any. Clients send their bitfield right
/// behind their handshake.
const TIME_FOR_PIECES: Duration = Duration::from_secs(10);
