//! Uploads flat out: each connection sends the next one when the last is answered. One thread has them all.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::target::Target;

pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) connections: usize,
    /// Bytes of each.
    pub(crate) size: usize,
    pub(crate) seconds: f64,
    /// Whether the server is asked to sleep instead of computing.
    pub(crate) emulated: bool,
}

struct Load {
    epoll: OwnedFd,
    uploads: Vec<Upload>,
    /// A whole request.
    request: Vec<u8>,
    /// What an answer ends with.
    answer: String,
    complete: u64,
}

/// One connection.
struct Upload {
    socket: TcpStream,
    /// Bytes of the request that were sent.
    sent: usize,
    answer: Vec<u8>,
}

pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let mut load = Load::new(plan)?;
    // One each, for what first ones cost.
    load.turns(|load| load.complete < plan.connections as u64)?;
    crate::ready()?;
    load.complete = 0;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(plan.seconds);
    // One at least, however slow the machine is.
    load.turns(|load| load.complete == 0 || Instant::now() < end)?;
    let (uploads, seconds) = (load.complete, start.elapsed().as_secs_f64());
    let rate = uploads as f64 / seconds;
    crate::print(&format!(
        "{{\"requests\": {uploads}, \"rate\": {rate:.2}, \"seconds\": {seconds:.4}}}"
    ))
}

impl Load {
    fn new(plan: &Plan) -> io::Result<Load> {
        let content = vec![b'x'; plan.size];
        let (path, answer) = match plan.emulated {
            true => ("upload/sleep", plan.size.to_string()),
            false => ("upload", hexadecimal(digest(&SHA256, &content).as_ref())),
        };
        let length = content.len();
        let head = format!("POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        let request = [head.into_bytes(), content].concat();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut uploads = Vec::with_capacity(plan.connections);
        for index in 0..plan.connections {
            let socket = plan.target.connect()?;
            socket.set_nonblocking(true)?;
            epoll::add(&epoll, &socket, EventData::new_u64(index as u64), SENDING)?;
            uploads.push(Upload { socket, sent: 0, answer: Vec::new() });
        }
        Ok(Load { epoll, uploads, request, answer, complete: 0 })
    }

    /// Goes on with what can go on, as long as `wanted`.
    fn turns(&mut self, wanted: impl Fn(&Load) -> bool) -> io::Result<()> {
        while wanted(self) {
            let mut events = [MaybeUninit::uninit(); 64];
            let (ready, _) = epoll::wait(&self.epoll, &mut events, Some(&MOMENT))?;
            for event in ready {
                self.step(event.data.u64() as usize)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, index: usize) -> io::Result<()> {
        let upload = &mut self.uploads[index];
        let data = EventData::new_u64(index as u64);
        if upload.sent < self.request.len() {
            upload.send(&self.request)?;
            if upload.sent == self.request.len() {
                epoll::modify(&self.epoll, &upload.socket, data, EventFlags::IN)?;
            }
        } else if upload.receive(&self.answer)? {
            self.complete += 1;
            upload.sent = 0;
            epoll::modify(&self.epoll, &upload.socket, data, SENDING)?;
        }
        Ok(())
    }
}

impl Upload {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.sent += or_none(self.socket.write(&request[self.sent..]))?;
        Ok(())
    }

    /// Whether the answer is there.
    fn receive(&mut self, answer: &str) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let count = match self.socket.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            read => or_none(read)?,
        };
        self.answer.extend_from_slice(&buffer[..count]);
        if !self.answer.ends_with(answer.as_bytes()) {
            return match self.answer.len() {
                ..MOST_ANSWER => Ok(false),
                _ => Err(io::Error::other(String::from_utf8_lossy(&self.answer).into_owned())),
            };
        }
        self.answer.clear();
        Ok(true)
    }
}

/// What a call did that would have had to wait: nothing.
fn or_none(done: io::Result<usize>) -> io::Result<usize> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        done => done,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The server may refuse an upload before it was sent.
const SENDING: EventFlags = EventFlags::OUT;
/// How long it sleeps at most where nothing can go on.
const MOMENT: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// An answer that is longer is a refusal.
const MOST_ANSWER: usize = 1024;
