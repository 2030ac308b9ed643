//! A blocking HTTP client for tests, which sends exactly the bytes it is given.
//!
//! Its methods panic where the server's answer is not what they wait for, and after a minute without one.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A TCP or Unix connection.
pub trait Socket: Read + Write + Send {
    /// The same connection through a second descriptor.
    fn twin(&self) -> Box<dyn Socket>;
}

impl Socket for TcpStream {
    fn twin(&self) -> Box<dyn Socket> {
        Box::new(self.try_clone().unwrap())
    }
}

impl Socket for UnixStream {
    fn twin(&self) -> Box<dyn Socket> {
        Box::new(self.try_clone().unwrap())
    }
}

/// One connection.
pub struct Client {
    sender: Box<dyn Socket>,
    receiver: BufReader<Box<dyn Socket>>,
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    /// The code of the status line.
    pub status: u16,
    /// By name in lower case.
    pub headers: HashMap<String, String>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects over TCP.
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::new(stream)
    }

    /// Connects, sends `bytes`, and waits for the first byte of an answer, which stays unread.
    pub fn connect_and_send(address: SocketAddr, bytes: &[u8]) -> Client {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
        Client::new(stream)
    }

    /// Connects to a Unix socket.
    pub fn connect_unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::new(stream)
    }

    fn new(stream: impl Socket + 'static) -> Client {
        Client { receiver: BufReader::new(stream.twin()), sender: Box::new(stream) }
    }

    /// Sends `bytes`.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.sender.write_all(bytes.as_ref()).unwrap();
    }

    /// As [`send`](Client::send), but the server may have closed before the end.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.sender.write_all(bytes.as_ref())
    }

    /// The sending side, for another thread.
    pub fn sender(&self) -> Box<dyn Socket> {
        self.sender.twin()
    }

    /// Sends a GET request for `path` and reads the response.
    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.response()
    }

    /// Sends a head that announces `length` bytes and waits for `100 Continue`: from then on the
    /// request is in its handler.
    pub fn begin_upload(&mut self, length: usize) {
        self.send(format!(
            "POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\n\r\n"
        ));
        assert_eq!(self.head().0, 100);
    }

    /// Reads a response, with a body if its head announces one.
    pub fn response(&mut self) -> Response {
        let (status, headers) = self.head();
        let body = match headers.get("transfer-encoding") {
            Some(_) => self.chunks(),
            None => {
                let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
                self.bytes(length)
            }
        };
        Response { status, headers, body }
    }

    /// Reads status and headers.
    pub fn head(&mut self) -> (u16, HashMap<String, String>) {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { return (status, headers) };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }

    /// Reads `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.receiver.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads one chunk of a chunked body; empty is the last.
    pub fn chunk(&mut self) -> Vec<u8> {
        let length = usize::from_str_radix(&self.line(), 16).unwrap();
        let chunk = self.bytes(length);
        assert_eq!(self.line(), "");
        chunk
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            match self.chunk() {
                chunk if chunk.is_empty() => return body,
                chunk => body.extend(chunk),
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.receiver.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "the connection ended inside a line: {line:?}");
        line.trim_end().to_owned()
    }

    /// Waits until the connection ends, in order or not, and returns the bytes before the end.
    pub fn rest(&mut self) -> (Vec<u8>, io::Result<usize>) {
        let mut rest = Vec::new();
        let outcome = self.receiver.read_to_end(&mut rest);
        (rest, outcome)
    }

    /// Asserts that the server closes in order without another byte.
    pub fn assert_closed(&mut self) {
        let (rest, outcome) = self.rest();
        assert_eq!(outcome.unwrap(), 0, "{rest:?}");
    }
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// `parts` as a chunked body.
pub fn chunked<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts.into_iter().chain([&[][..]]) {
        body.extend(format!("{:x}\r\n", part.len()).bytes());
        body.extend(part);
        body.extend(b"\r\n");
    }
    body
}

/// After this long without a byte the server hangs.
const PATIENCE: Duration = Duration::from_secs(60);
