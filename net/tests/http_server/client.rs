//! A peer that sends arbitrary bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// A blocking socket, and the bytes that were read beyond the last answer.
pub(crate) struct Client {
    stream: TcpStream,
    ahead: Vec<u8>,
}

/// An answer with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// With a small receive buffer.
    pub(crate) fn connect_narrow(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::over(socket.into())
    }

    fn over(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        Client { stream, ahead: Vec::new() }
    }

    /// The socket alone.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.ahead.is_empty());
        self.stream
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.write(bytes.as_ref()).unwrap();
    }

    /// As [`send`](Client::send), but the server may close.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends as long as the server reads, and returns the number of bytes.
    pub(crate) fn send_what_fits(&mut self, bytes: &[u8]) -> usize {
        self.stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(count @ 1..) = self.stream.write(&bytes[sent..]) {
            sent += count;
        }
        self.stream.set_nonblocking(false).unwrap();
        sent
    }

    pub(crate) fn get(&mut self) -> Answer {
        self.send(GET);
        self.answer()
    }

    /// Reads one answer, by its content-length or its chunks.
    pub(crate) fn answer(&mut self) -> Answer {
        let head = self.until(b"\r\n\r\n");
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let code = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body = match length {
            Some(length) => self.exactly(length.parse().unwrap()),
            None if head.contains("transfer-encoding: chunked") => self.chunks(),
            None => Vec::new(),
        };
        Answer { code, head, body }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.until(b"\r\n");
            let size = std::str::from_utf8(&size[..size.len() - 2]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            body.extend(self.exactly(size));
            self.exactly(2);
            if size == 0 {
                return body;
            }
        }
    }

    pub(crate) fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|window| window == end) {
                return self.ahead.drain(..at + end.len()).collect();
            }
            assert!(self.more(), "ended with {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            assert!(self.more(), "ended {} bytes in", self.ahead.len());
        }
        self.ahead.drain(..length).collect()
    }

    /// Reads and drops a number of bytes, or those before the end.
    pub(crate) fn skip(&mut self, length: u64) {
        let _ = std::io::copy(&mut (&self.stream).take(length), &mut std::io::sink());
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer).unwrap();
        self.ahead.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Reads until the server closes, or resets, the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.ahead);
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server does not close the connection: {error}"),
        }
        rest
    }

    /// Whether no byte and no end has come.
    pub(crate) fn is_quiet(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let looked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub(crate) fn stop_sending(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

impl Answer {
    pub(crate) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

pub(crate) const GUARD: Duration = Duration::from_secs(60);
