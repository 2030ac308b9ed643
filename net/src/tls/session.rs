//! The TLS of one connection, without a socket: rustls' session, and the bytes that wait around it.
//!
//! Input is decrypted in the caller's buffer. All complete records are taken at once, so what is kept of
//! it is a part of one record, or the records of an incomplete handshake message. Plaintext goes to the
//! caller's [`Destination`], and only what that does not take is kept. What rustls wants to send by
//! itself (handshake, tickets, key updates, alerts) is kept until the socket takes it.

use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{AlertDescription, Error, InvalidMessage, ServerConfig};

use super::queue::Queue;
use super::resolver::{self, Hello};
use super::scratch;

/// What takes plaintext.
pub(super) trait Destination {
    /// Takes bytes of the front of `plaintext`, and returns how many.
    fn take(&mut self, plaintext: &[u8]) -> usize;
}

/// The session of one connection.
pub(super) struct Session {
    tls: UnbufferedServerConnection,
    /// Ciphertext of an incomplete record.
    partial: Queue,
    /// Decrypted, and not read yet.
    pub(super) plaintext: Queue,
    /// Ciphertext that the socket has not taken yet.
    pub(super) output: Queue,
    receiving: Receiving,
    /// `close_notify` was sent, or the session failed: nothing more can be sent.
    closed: bool,
    /// What the resolver of certificates noted when the `ClientHello` came.
    hello: Option<Hello>,
}

/// The state of the receiving direction.
enum Receiving {
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

impl Session {
    pub(super) fn new(config: &Arc<ServerConfig>) -> Result<Session, Error> {
        Ok(Session {
            tls: UnbufferedServerConnection::new(Arc::clone(config))?,
            partial: Queue::default(),
            plaintext: Queue::default(),
            output: Queue::default(),
            receiving: Receiving::Open,
            closed: false,
            hello: None,
        })
    }

    /// rustls' view of the connection.
    pub(super) fn tls(&self) -> &rustls::CommonState {
        &self.tls
    }

    /// What came with the `ClientHello`.
    pub(super) fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Whether the peer has finished sending in order.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.receiving, Receiving::Finished)
    }

    /// Why nothing can be received any more, if that is a failure.
    pub(super) fn failure(&self) -> Option<&Error> {
        match &self.receiving {
            Receiving::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the peer may still send.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.receiving, Receiving::Open)
    }

    /// The memory of what waits.
    pub(super) fn memory(&self) -> usize {
        self.partial.memory() + self.plaintext.memory() + self.output.memory()
    }

    /// The ciphertext that was received before, and has to be in front of what is received next.
    pub(super) fn partial(&self) -> &[u8] {
        self.partial.waiting()
    }

    /// Takes `input`, which begins with [`partial`](Session::partial), and changes it in place. Returns
    /// how many records it took time for.
    pub(super) fn receive(
        &mut self,
        input: &mut [u8],
        destination: &mut impl Destination,
    ) -> usize {
        let records = complete_records(input);
        let consumed = self.process(input, destination);
        if input.len() - consumed > LONGEST_RECORD && !self.tls.is_handshaking() {
            // A message of the handshake in small fragments: behind the handshake all are short.
            self.fail(Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge));
        }
        match self.receiving {
            Receiving::Open => self.partial.replace(&input[consumed..]),
            _ => self.partial.replace(&[]),
        }
        records
    }

    /// Takes all complete records of `input`. Returns how many of its bytes are not needed any more.
    fn process(&mut self, input: &mut [u8], destination: &mut impl Destination) -> usize {
        let (mut consumed, mut encoded) = (0, false);
        let handshaking = self.tls.is_handshaking();
        while !matches!(self.receiving, Receiving::Failed(_)) {
            let UnbufferedStatus { discard, state } =
                self.tls.process_tls_records(&mut input[consumed..]);
            consumed += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        consumed += record.discard;
                        deliver(record.payload, &mut self.plaintext, destination);
                    }
                    // Another call would only report that nothing is left.
                    if consumed == input.len() && !encoded && !self.tls.wants_write() {
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
                    self.encode_alert();
                }
            }
            if handshaking && let Some(hello) = resolver::take_hello() {
                self.hello = Some(hello);
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
    fn encode_alert(&mut self) {
        while self.tls.wants_write() {
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut []);
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

    /// Sends the alert `description`, unprotected, in place of what the session wants to send. Only at
    /// the beginning, when the session has sent nothing.
    pub(super) fn refuse(&mut self, description: AlertDescription) {
        self.closed = true;
        self.output.replace(&[ALERT, 3, 3, 0, 2, FATAL, description.into()]);
    }

    /// Encrypts `plaintext` and puts the records into `output` behind its first `filled` bytes.
    /// Returns where they end.
    pub(super) fn encrypt(
        &mut self,
        plaintext: &[u8],
        output: &mut Vec<u8>,
        filled: usize,
    ) -> Result<usize, SendError> {
        let mut traffic = self.traffic()?;
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
    pub(super) fn close(&mut self) {
        let mut alert = [0; OVERHEAD];
        let Ok(mut traffic) = self.traffic() else {
            self.closed = true;
            return;
        };
        let count = traffic.queue_close_notify(&mut alert).unwrap_or(0);
        self.closed = true;
        self.output.append(&alert[..count]);
    }

    /// The session, ready to send.
    fn traffic(&mut self) -> Result<WriteTraffic<'_, ServerConnectionData>, SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        // It has taken all complete records, so there is nothing to come of what is left.
        let UnbufferedStatus { state, .. } =
            self.tls.process_tls_records(self.partial.waiting_mut());
        match state? {
            ConnectionState::WriteTraffic(traffic) => Ok(traffic),
            _ => Err(SendError::Session(Error::HandshakeNotComplete)),
        }
    }
}

/// How many records `input` begins with that have come as a whole.
fn complete_records(mut input: &[u8]) -> usize {
    let mut records = 0;
    while let [_, _, _, high, low, rest @ ..] = input
        && let Some(behind) = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..)
    {
        (records, input) = (records + 1, behind);
    }
    records
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

const ALERT: u8 = 21;
const FATAL: u8 = 2;

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
