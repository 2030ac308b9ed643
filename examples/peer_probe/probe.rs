//! The conversation with one peer: a state machine that knows neither sockets nor clocks.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::Duration;

use heist::protocol::{Closed, Context, Error, Protocol};
use heist::time::Instant;

use crate::torrent::InfoHash;
use crate::wire::{self, Message, PeerId, Pieces};

/// What the probes tell.
#[derive(Debug)]
pub(crate) enum Event {
    Reached(Stage),
    Ended(Report),
}

/// How far a peer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Connected,
    /// It sent its handshake.
    Greeted,
    /// It told what it has.
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
    /// `None` if it came to the last stage.
    pub(crate) failure: Option<String>,
}

/// Probes one peer.
pub(crate) struct Probe {
    state: State,
    info_hash: InfoHash,
    id: PeerId,
    pieces: Pieces,
    start: Instant,
    timeout: Duration,
    report: Report,
    events: Sender<Event>,
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Our handshake is on its way; the peer's comes back.
    Handshake,
    /// A bitfield, or a `have` from those who send none. `unchoked` if the peer was that generous
    /// before it told what it has.
    Pieces { unchoked: bool },
    /// We said that we are interested.
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
            start: Instant::ZERO,
            timeout: Duration::ZERO,
            report,
            events,
        }
    }

    /// The connecting began at `start` and was successful; the rest must not take longer than
    /// `timeout` from then on.
    pub(crate) fn connected(mut self, start: Instant, timeout: Duration) -> Probe {
        self.start = start;
        self.timeout = timeout;
        self
    }

    /// There will be no conversation.
    pub(crate) fn failed(mut self, failure: String) {
        self.report.failure = Some(failure);
        self.tell(Event::Ended(self.report.clone()));
    }

    fn reach(&mut self, stage: Stage, cx: &Context<'_>) {
        self.report.reached[stage as usize] = Some(cx.now() - self.start);
        self.tell(Event::Reached(stage));
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more only when the program is at its end.
        let _ = self.events.send(event);
    }

    fn on_handshake(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let Some(id) = wire::read_handshake(input, &self.info_hash)? else { return Ok(0) };
        self.report.client = Some(wire::client(&id));
        self.reach(Stage::Greeted, cx);
        self.state = State::Pieces { unchoked: false };
        Ok(wire::HANDSHAKE)
    }

    fn on_message(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let Some((message, length)) = wire::read_message(input, self.pieces.total())? else {
            return Ok(0);
        };
        match message {
            Message::Bitfield(bits) => {
                self.pieces.replace(bits)?;
                self.on_pieces(cx);
            }
            Message::Have(piece) => {
                self.pieces.add(piece)?;
                self.on_pieces(cx);
            }
            Message::Unchoke => self.on_unchoke(cx),
            Message::Choke => self.on_choke(),
            Message::KeepAlive | Message::Other => {}
        }
        Ok(length)
    }

    fn on_pieces(&mut self, cx: &mut Context<'_>) {
        self.report.pieces = Some(self.pieces.count());
        if let State::Pieces { unchoked } = self.state {
            self.reach(Stage::Known, cx);
            cx.write(wire::INTERESTED);
            self.state = State::Unchoke;
            if unchoked {
                self.on_unchoke(cx);
            }
        }
    }

    fn on_unchoke(&mut self, cx: &mut Context<'_>) {
        match self.state {
            State::Pieces { .. } => self.state = State::Pieces { unchoked: true },
            State::Unchoke => {
                self.reach(Stage::Unchoked, cx);
                self.state = State::Done;
                cx.abort();
            }
            State::Handshake | State::Done => {}
        }
    }

    fn on_choke(&mut self) {
        if let State::Pieces { unchoked } = &mut self.state {
            *unchoked = false;
        }
    }
}

impl Protocol for Probe {
    type Message = Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        self.reach(Stage::Connected, cx);
        cx.write(&wire::handshake(&self.info_hash, &self.id));
        // One for everything, so a peer that sends a byte a minute does not get more time.
        cx.set_deadline(Some(self.start + self.timeout));
    }

    /// Takes one message; the engine calls again while there are more, so that everything that
    /// came in one segment is dealt with in one turn.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        match self.state {
            State::Handshake => self.on_handshake(input, cx),
            _ => self.on_message(input, cx),
        }
    }

    fn deadline(&mut self, cx: &mut Context<'_>) {
        self.report.failure = Some(format!("timed out {}", self.state.waiting()));
        cx.abort();
    }

    fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        let inside = if rest.is_empty() { "" } else { " inside a message," };
        let waiting = self.state.waiting();
        self.report.failure = Some(format!("it closed the connection,{inside} {waiting}"));
        cx.abort();
    }

    fn closed(&mut self, reason: &Closed) {
        if self.state != State::Done && self.report.failure.is_none() {
            self.report.failure = Some(match reason {
                Closed::Protocol(error) => error.to_string(),
                Closed::Lost(error) => format!("{error}, {}", self.state.waiting()),
                other => other.to_string(),
            });
        }
        self.tell(Event::Ended(self.report.clone()));
    }
}
