//! The TLS of one connection, without a socket: rustls' session, and the bytes that wait around it.
//!
//! Input is decrypted in the caller's buffer. All complete records are taken at once, so what is kept of
//! it is a part of one record, or the records of an incomplete handshake message. Plaintext goes to the
//! caller's [`Destination`], and only what that does not take is kept. What rustls wants to send by
//! itself (handshake, tickets, key updates, alerts) is kept until the socket takes it.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{AlertDescription, ClientConfig, Error, ServerConfig};

use super::queue::Queue;
use super::records::{Destination, Receiving, Records, SendError};
use super::resolver::{self, Hello};
use super::side::Side;

/// The session of one connection.
pub(super) struct Session {
    tls: Tls,
    records: Records,
}

/// rustls' session of either side, and what was learned from the `ClientHello`.
enum Tls {
    Server(UnbufferedServerConnection, Option<Hello>),
    /// With the name of the server.
    Client(UnbufferedClientConnection, Box<str>),
}

impl Session {
    /// The side that waits for a `ClientHello`.
    pub(super) fn server(config: &Arc<ServerConfig>) -> Result<Session, Error> {
        let tls = UnbufferedServerConnection::new(Arc::clone(config))?;
        Ok(Session { tls: Tls::Server(tls, None), records: Records::default() })
    }

    /// The side that speaks first: its `ClientHello` waits in the output.
    pub(super) fn client(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Session, Error> {
        let text = name.to_str().into();
        let tls = UnbufferedClientConnection::new(Arc::clone(config), name)?;
        let mut session = Session { tls: Tls::Client(tls, text), records: Records::default() };
        session.receive(&mut [], &mut Nothing);
        Ok(session)
    }

    /// rustls' view of the connection.
    pub(super) fn tls(&self) -> &rustls::CommonState {
        match &self.tls {
            Tls::Server(tls, _) => tls.state(),
            Tls::Client(tls, _) => tls.state(),
        }
    }

    /// What came with the `ClientHello`.
    pub(super) fn hello(&self) -> Option<&Hello> {
        match &self.tls {
            Tls::Server(_, hello) => hello.as_ref(),
            Tls::Client(..) => None,
        }
    }

    /// The name that the client asks for.
    pub(super) fn server_name(&self) -> Option<&str> {
        match &self.tls {
            Tls::Server(_, hello) => hello.as_ref()?.server_name.as_deref(),
            Tls::Client(_, name) => Some(name),
        }
    }

    /// Whether the peer has finished sending in order.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.records.receiving, Receiving::Finished)
    }

    /// Why nothing can be received any more, if that is a failure.
    pub(super) fn failure(&self) -> Option<&Error> {
        match &self.records.receiving {
            Receiving::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the peer may still send.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.records.receiving, Receiving::Open)
    }

    /// Decrypted, and not read yet.
    pub(super) fn plaintext(&mut self) -> &mut Queue {
        &mut self.records.plaintext
    }

    /// Whether plaintext waits to be read.
    pub(super) fn has_plaintext(&self) -> bool {
        !self.records.plaintext.is_empty()
    }

    /// Ciphertext that the socket has not taken yet.
    pub(super) fn output(&self) -> &Queue {
        &self.records.output
    }

    /// As [`output`](Session::output), to be taken from or replaced.
    pub(super) fn output_mut(&mut self) -> &mut Queue {
        &mut self.records.output
    }

    /// The memory of what waits.
    pub(super) fn memory(&self) -> usize {
        let Records { partial, plaintext, output, .. } = &self.records;
        partial.memory() + plaintext.memory() + output.memory()
    }

    /// The ciphertext that was received before, and has to be in front of what is received next.
    pub(super) fn partial(&self) -> &[u8] {
        self.records.partial.waiting()
    }

    /// Takes `input`, which begins with [`partial`](Session::partial), and changes it in place. Returns
    /// how many records it took time for.
    pub(super) fn receive(
        &mut self,
        input: &mut [u8],
        destination: &mut impl Destination,
    ) -> usize {
        let count = complete_records(input);
        match &mut self.tls {
            Tls::Server(tls, hello) => {
                let handshaking = tls.is_handshaking();
                self.records.receive(tls, input, destination);
                if handshaking && let Some(came) = resolver::take_hello() {
                    *hello = Some(came);
                }
            }
            Tls::Client(tls, _) => self.records.receive(tls, input, destination),
        }
        count
    }

    /// Sends the alert `description`, unprotected, in place of what the session wants to send. Only at
    /// the beginning, when the session has sent nothing.
    pub(super) fn refuse(&mut self, description: AlertDescription) {
        self.records.closed = true;
        self.records.output.replace(&[ALERT, 3, 3, 0, 2, FATAL, description.into()]);
    }

    /// Encrypts `plaintext` and puts the records into `output` behind its first `filled` bytes.
    /// Returns where they end.
    pub(super) fn encrypt(
        &mut self,
        plaintext: &[u8],
        output: &mut Vec<u8>,
        filled: usize,
    ) -> Result<usize, SendError> {
        match &mut self.tls {
            Tls::Server(tls, _) => self.records.encrypt(tls, plaintext, output, filled),
            Tls::Client(tls, _) => self.records.encrypt(tls, plaintext, output, filled),
        }
    }

    /// Puts `close_notify` behind the output. Nothing more can be sent then.
    pub(super) fn close(&mut self) {
        match &mut self.tls {
            Tls::Server(tls, _) => self.records.close(tls),
            Tls::Client(tls, _) => self.records.close(tls),
        }
    }
}

/// Takes no plaintext: it waits for the service.
pub(super) struct Nothing;

impl Destination for Nothing {
    fn take(&mut self, _plaintext: &[u8]) -> usize {
        0
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

const ALERT: u8 = 21;
const FATAL: u8 = 2;

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
