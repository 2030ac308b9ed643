//! The records of one connection, for either side of it: rustls' state machine is driven here.

use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{Error, InvalidMessage};

use super::queue::Queue;
use super::scratch;
use super::side::Side;

/// What takes plaintext.
pub(super) trait Destination {
    /// Takes bytes of the front of `plaintext`, and returns how many.
    fn take(&mut self, plaintext: &[u8]) -> usize;
}

/// What waits around a session of rustls, and how far each direction is.
#[derive(Default)]
pub(super) struct Records {
    /// Ciphertext of an incomplete record.
    pub(super) partial: Queue,
    /// Decrypted, and not read yet.
    pub(super) plaintext: Queue,
    /// Ciphertext that the socket has not taken yet.
    pub(super) output: Queue,
    pub(super) receiving: Receiving,
    /// `close_notify` was sent, or the session failed: nothing more can be sent.
    pub(super) closed: bool,
}

/// The state of the receiving direction.
#[derive(Default)]
pub(super) enum Receiving {
    #[default]
    Open,
    /// `close_notify` came: what follows is ignored.
    Finished,
    Failed(Box<Error>),
}

/// The output of the session must not be changed any more, or its keys are used up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the TLS session is closed for sending")]
    Closed,
    #[error("the keys of the TLS session are used up; its protocol version cannot renew them")]
    Exhausted,
    #[error("the TLS session cannot send now: {0}")]
    Session(#[from] Error),
}

impl Records {
    /// Takes `input`, which begins with what is partial, and changes it in place.
    pub(super) fn receive(
        &mut self,
        tls: &mut impl Side,
        input: &mut [u8],
        destination: &mut impl Destination,
    ) {
        let consumed = self.process(tls, input, destination);
        if input.len() - consumed > LONGEST_RECORD && !tls.state().is_handshaking() {
            // A message of the handshake in small fragments: behind the handshake all are short.
            self.fail(Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge));
        }
        match self.receiving {
            Receiving::Open => self.partial.replace(&input[consumed..]),
            _ => self.partial.replace(&[]),
        }
    }

    /// Takes all complete records of `input`. Returns how many of its bytes are not needed any more.
    fn process(
        &mut self,
        tls: &mut impl Side,
        input: &mut [u8],
        destination: &mut impl Destination,
    ) -> usize {
        let (mut consumed, mut encoded) = (0, false);
        while !matches!(self.receiving, Receiving::Failed(_)) {
            let UnbufferedStatus { discard, state } = tls.process(&mut input[consumed..]);
            consumed += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        consumed += record.discard;
                        deliver(record.payload, &mut self.plaintext, destination);
                    }
                    // Another call would only report that nothing is left.
                    if consumed == input.len() && !encoded && !tls.state().wants_write() {
                        break;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encoded = true;
                    encode(data, &mut self.output);
                }
                // The queue keeps the order, whenever the socket takes it.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => {
                    self.receiving = Receiving::Finished;
                    break;
                }
                Ok(
                    ConnectionState::WriteTraffic(_)
                    | ConnectionState::BlockedHandshake
                    | ConnectionState::Closed,
                ) => break,
                Ok(state) => {
                    let error = Error::General(format!("unexpected state of rustls: {state:?}"));
                    self.fail(error);
                }
                Err(error) => {
                    self.fail(error);
                    self.encode_alert(tls);
                }
            }
        }
        consumed
    }

    /// Nothing more is received or sent.
    fn fail(&mut self, error: Error) {
        self.receiving = Receiving::Failed(Box::new(error));
        self.closed = true;
    }

    /// Moves the alert of a failure to the output. rustls must not see the failed input again.
    fn encode_alert(&mut self, tls: &mut impl Side) {
        while tls.state().wants_write() {
            let UnbufferedStatus { state, .. } = tls.process(&mut []);
            match state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.output),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        self.plaintext.append(record.payload);
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => break,
            }
        }
    }

    /// Encrypts `plaintext` and puts the records into `output` behind its first `filled` bytes.
    /// Returns where they end.
    pub(super) fn encrypt(
        &mut self,
        tls: &mut impl Side,
        plaintext: &[u8],
        output: &mut Vec<u8>,
        filled: usize,
    ) -> Result<usize, SendError> {
        let mut traffic = self.traffic(tls)?;
        let mut room = plaintext.len() + OVERHEAD * (1 + plaintext.len() / RECORD);
        loop {
            let output = &mut scratch::front(output, filled + room)[filled..];
            match traffic.encrypt(plaintext, output) {
                Ok(count) => return Ok(filled + count),
                Err(EncryptError::InsufficientSize(error)) if error.required_size > room => {
                    room = error.required_size;
                }
                Err(_) => break,
            }
        }
        self.closed = true;
        Err(SendError::Exhausted)
    }

    /// Puts `close_notify` behind the output. Nothing more can be sent then.
    pub(super) fn close(&mut self, tls: &mut impl Side) {
        let mut alert = [0; OVERHEAD];
        let count = match self.traffic(tls) {
            Ok(mut traffic) => traffic.queue_close_notify(&mut alert).unwrap_or(0),
            Err(_) => 0,
        };
        self.closed = true;
        self.output.append(&alert[..count]);
    }

    /// The session, ready to send.
    fn traffic<'c, S: Side>(
        &mut self,
        tls: &'c mut S,
    ) -> Result<WriteTraffic<'c, S::Data>, SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        // It has taken all complete records, so there is nothing to come of what is left.
        let UnbufferedStatus { state, .. } = tls.process(self.partial.waiting_mut());
        match state? {
            ConnectionState::WriteTraffic(traffic) => Ok(traffic),
            _ => Err(SendError::Session(Error::HandshakeNotComplete)),
        }
    }
}

/// Gives `payload` to the destination, and keeps the rest.
fn deliver(payload: &[u8], kept: &mut Queue, destination: &mut impl Destination) {
    let taken = if kept.is_empty() { destination.take(payload) } else { 0 };
    kept.append(&payload[taken..]);
}

/// Moves one record to the output.
fn encode<Data>(mut data: EncodeTlsData<'_, Data>, output: &mut Queue) {
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        // It has the room that it asked for.
        let _ = data.encode(output.extend(size.required_size));
    }
}

/// The plaintext of a full record.
pub(super) const RECORD: usize = 16 * 1024;

/// No record is longer, with its head: RFC 5246, 6.2.3.
const LONGEST_RECORD: usize = 5 + RECORD + 2048;

/// More than a record, or an alert, is longer than its plaintext, in any version; and the room for a key
/// update in front of it.
const OVERHEAD: usize = 128;
