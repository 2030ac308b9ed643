//! The client's side of HTTP/2: as much of it as a load needs. It makes frames and reads them, and
//! touches no socket.

use std::io;

/// One connection's state.
#[derive(Default)]
pub(crate) struct Session {
    /// Streams opened so far.
    opened: u32,
    /// The front of a frame whose end has not come yet.
    partial: Vec<u8>,
    /// Bytes of DATA since the connection's window was last opened.
    consumed: usize,
}

impl Session {
    /// What a connection begins with: no push, and a wide window.
    pub(crate) fn begin(output: &mut Vec<u8>) -> Session {
        output.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frame(output, SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0]);
        frame(output, WINDOW_UPDATE, 0, 0, &(WINDOW as u32).to_be_bytes());
        Session::default()
    }

    /// Opens a stream with the request that `block` encodes, and gives its number.
    pub(crate) fn ask(&mut self, block: &[u8], output: &mut Vec<u8>) -> u32 {
        let stream = 2 * self.opened + 1;
        self.opened += 1;
        frame(output, HEADERS, END_STREAM | END_HEADERS, stream, block);
        stream
    }

    /// Takes in bytes of the server, writes what has to be answered at once, and names each stream
    /// that is complete.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        mut complete: impl FnMut(u32),
    ) -> io::Result<()> {
        let mut held = std::mem::take(&mut self.partial);
        held.extend_from_slice(input);
        let mut rest = &held[..];
        while let Some((header, after)) = rest.split_first_chunk::<9>() {
            let [high, middle, low, kind, flags, id @ ..] = *header;
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            self.on_frame(kind, flags, payload, output)?;
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                complete(u32::from_be_bytes(id));
            }
            rest = after;
        }
        let taken = held.len() - rest.len();
        held.drain(..taken);
        self.partial = held;
        Ok(())
    }

    fn on_frame(
        &mut self,
        kind: u8,
        flags: u8,
        payload: &[u8],
        output: &mut Vec<u8>,
    ) -> io::Result<()> {
        match kind {
            DATA => {
                self.consumed += payload.len();
                if self.consumed > WINDOW / 2 {
                    frame(output, WINDOW_UPDATE, 0, 0, &(self.consumed as u32).to_be_bytes());
                    self.consumed = 0;
                }
            }
            HEADERS if is_ok(flags, payload) => {}
            SETTINGS if flags & ACK == 0 => frame(output, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(output, PING, ACK, 0, payload),
            HEADERS | RST_STREAM | PUSH_PROMISE | GOAWAY | CONTINUATION => {
                return Err(io::Error::other(format!("a frame of type {kind}: {payload:?}")));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The header block of a GET request: entries of the static table, and literals that leave the
/// dynamic table alone.
pub(crate) fn get(path: &str) -> Vec<u8> {
    let mut block = vec![METHOD_GET, SCHEME_HTTPS, AUTHORITY, 1, b'x'];
    match path {
        "" => block.push(PATH_ROOT),
        path => {
            block.extend([PATH, path.len() as u8 + 1, b'/']);
            block.extend_from_slice(path.as_bytes());
        }
    }
    block
}

/// Whether a whole header block begins with the status 200.
fn is_ok(flags: u8, block: &[u8]) -> bool {
    let whole = flags & END_HEADERS != 0 && flags & (PADDED | PRIORITY) == 0;
    // A change of the dynamic table's size may come first.
    let status = block.iter().find(|&&byte| byte & 0xe0 != 0x20);
    whole && status == Some(&STATUS_200)
}

fn frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    output.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    output.extend([kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}

/// What the server may send on a connection beyond the 64 KiB that it may from the start.
const WINDOW: usize = 1 << 30;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// Entries of HPACK's static table, as whole fields.
const METHOD_GET: u8 = 0x82;
const PATH_ROOT: u8 = 0x84;
const SCHEME_HTTPS: u8 = 0x87;
const STATUS_200: u8 = 0x88;
/// The names of such entries, in front of a literal value that is not indexed.
const AUTHORITY: u8 = 0x01;
const PATH: u8 = 0x04;

#[cfg(test)]
mod tests {
    use super::*;

    /// A response as nginx sends its first: a change of the table's size, then the status.
    fn response(stream: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame(&mut bytes, HEADERS, END_HEADERS, stream, &[0x20, STATUS_200]);
        frame(&mut bytes, DATA, END_STREAM, stream, b"Hello, World!");
        bytes
    }

    #[test]
    fn responses_complete_their_streams_wherever_the_bytes_are_cut() {
        let bytes = [response(3), response(1)].concat();
        for cut in 0..bytes.len() {
            let (mut session, mut output, mut complete) = (Session::default(), vec![], vec![]);
            for part in [&bytes[..cut], &bytes[cut..]] {
                session.take(part, &mut output, |stream| complete.push(stream)).unwrap();
            }
            assert_eq!(complete, [3, 1]);
            assert_eq!(output, []);
        }
    }

    #[test]
    fn settings_and_pings_are_answered_and_answers_are_not() {
        let (mut session, mut input, mut output) = (Session::default(), vec![], vec![]);
        frame(&mut input, SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        frame(&mut input, SETTINGS, ACK, 0, &[]);
        frame(&mut input, PING, 0, 0, b"12345678");
        session.take(&input, &mut output, |_| ()).unwrap();
        let mut expected = Vec::new();
        frame(&mut expected, SETTINGS, ACK, 0, &[]);
        frame(&mut expected, PING, ACK, 0, b"12345678");
        assert_eq!(output, expected);
    }

    #[test]
    fn a_refused_request_is_an_error_and_no_answer() {
        for (kind, payload) in [(HEADERS, &[0x8d][..]), (RST_STREAM, &[0; 4]), (GOAWAY, &[0; 8])] {
            let (mut session, mut input) = (Session::default(), vec![]);
            frame(&mut input, kind, END_HEADERS, 1, payload);
            assert!(session.take(&input, &mut vec![], |_| panic!("no answer")).is_err());
        }
    }

    #[test]
    fn streams_have_odd_numbers_in_order() {
        let (mut session, mut output) = (Session::default(), vec![]);
        let block = get("");
        assert_eq!([(); 3].map(|()| session.ask(&block, &mut output)), [1, 3, 5]);
        assert_eq!(output.len(), 3 * (9 + block.len()));
    }
}
