//! A client for `kv` that sends exactly the bytes it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::program::Program;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    replies: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(program: &Program) -> Client {
        let stream = program.connect();
        Client { replies: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a command, words apart, and returns the reply.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(request(command.split_whitespace().map(str::as_bytes)));
        self.reply()
    }

    /// One reply, in one line: what is inside of an array in brackets.
    pub(crate) fn reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        let line = line.strip_suffix("\r\n").expect("the connection ended inside a reply");
        let (marker, rest) = line.split_at(1);
        match marker {
            "$" | "*" if rest == "-1" => "nil".to_owned(),
            "_" => "nil".to_owned(),
            "$" => self.bytes(rest.parse().unwrap()),
            "*" => self.replies(rest.parse().unwrap()),
            "~" => format!("set {}", self.replies(rest.parse().unwrap())),
            "%" => format!("map {}", self.replies(2 * rest.parse::<usize>().unwrap())),
            _ => rest.to_owned(),
        }
    }

    fn bytes(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length + 2];
        self.replies.read_exact(&mut bytes).unwrap();
        bytes.truncate(length);
        String::from_utf8(bytes).unwrap()
    }

    fn replies(&mut self, count: usize) -> String {
        format!("[{}]", (0..count).map(|_| self.reply()).collect::<Vec<_>>().join(" "))
    }

    /// Asserts that the server closes, and sends nothing before.
    pub(crate) fn assert_closed(&mut self) {
        assert_eq!(self.replies.read(&mut [0; 64]).unwrap(), 0);
    }
}

/// A request as clients write it.
pub(crate) fn request<'a>(words: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.clone().count()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n", word.len()).bytes());
        request.extend(word);
        request.extend(b"\r\n");
    }
    request
}
