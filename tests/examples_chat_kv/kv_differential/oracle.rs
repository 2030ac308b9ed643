//! A redis-server and a `kv`, asked the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::reply::Reply;
use crate::program::Program;
use crate::resp::request;

/// How many connections there are to each.
pub(super) const CONNECTIONS: usize = 2;

pub(super) struct Pair {
    redis: Redis,
    kv: Program,
    connections: Vec<(BufReader<UnixStream>, BufReader<TcpStream>)>,
    /// The commands that each connection has queued since MULTI.
    queued: [Option<Vec<Vec<Vec<u8>>>>; CONNECTIONS],
}

/// Both replies to a command, without what may differ.
pub(super) struct Outcome {
    pub(super) redis: Reply,
    pub(super) kv: Reply,
}

impl Outcome {
    pub(super) fn agrees(&self) -> bool {
        self.redis == self.kv
    }
}

impl Pair {
    pub(super) fn start() -> Pair {
        let (redis, kv) = (Redis::start(), super::start_kv());
        let connect = |_| (BufReader::new(redis.connect()), BufReader::new(kv.connect()));
        let connections = (0..CONNECTIONS).map(connect).collect();
        Pair { redis, kv, connections, queued: Default::default() }
    }

    pub(super) fn ask(&mut self, connection: usize, command: &[Vec<u8>]) -> Outcome {
        let bytes = request(command.iter().map(Vec::as_slice));
        let (redis, kv) = &mut self.connections[connection];
        redis.get_mut().write_all(&bytes).unwrap();
        kv.get_mut().write_all(&bytes).unwrap();
        let (mut redis, mut kv) = (Reply::read(redis), Reply::read(kv));
        for (at, command) in self.ran(connection, command, &redis) {
            let elements = [&mut redis, &mut kv].map(|reply| match at {
                None => Some(reply),
                Some(index) => reply.elements().get_mut(index),
            });
            if let [Some(redis), Some(kv)] = elements {
                forgive(&command, redis, kv);
            }
        }
        Outcome { redis, kv }
    }

    /// Follows MULTI and EXEC. The commands that ran, each with its place in the reply to EXEC.
    fn ran(
        &mut self,
        connection: usize,
        command: &[Vec<u8>],
        redis: &Reply,
    ) -> Vec<(Option<usize>, Vec<Vec<u8>>)> {
        let queued = &mut self.queued[connection];
        match (&command[0].to_ascii_uppercase()[..], queued.is_some()) {
            (b"MULTI", false) if !redis.is_error() => *queued = Some(Vec::new()),
            (b"EXEC", true) => {
                // One that is refused discards the transaction too.
                let commands = queued.take().unwrap_or_default();
                return commands.into_iter().enumerate().map(|(at, it)| (Some(at), it)).collect();
            }
            (b"DISCARD" | b"RESET", true) if !redis.is_error() => *queued = None,
            (_, true) if *redis == Reply::Simple(b"QUEUED".to_vec()) => {
                queued.get_or_insert_default().push(command.to_vec());
            }
            (_, true) => {}
            (_, false) => return vec![(None, command.to_vec())],
        }
        Vec::new()
    }

    /// Compares all that both hold.
    pub(super) fn assert_same_data(&mut self) {
        let ask = |pair: &mut Pair, words: &[&[u8]]| {
            let command: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
            let outcome = pair.ask(0, &command);
            assert!(outcome.agrees(), "{}: {:?} {:?}", quoted(&command), outcome.redis, outcome.kv);
            outcome.kv
        };
        ask(self, &[b"RESET"]);
        let mut keys = ask(self, &[b"KEYS", b"*"]);
        for key in keys.elements() {
            let Reply::Bulk(key) = key else { panic!("{key:?} is no key") };
            ask(self, &[b"PEXPIRETIME", key]);
            let Reply::Simple(kind) = ask(self, &[b"TYPE", key]) else { panic!("no type") };
            match &kind[..] {
                b"string" => ask(self, &[b"GET", key]),
                b"list" => ask(self, &[b"LRANGE", key, b"0", b"-1"]),
                b"set" => ask(self, &[b"SMEMBERS", key]),
                b"hash" => ask(self, &[b"HGETALL", key]),
                _ => ask(self, &[b"ZREVRANGE", key, b"0", b"-1", b"WITHSCORES"]),
            };
        }
    }

    /// Sends the same bytes to both over connections of their own, and returns all they answer.
    pub(super) fn exchange(&self, input: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut redis, mut kv) = (self.redis.connect(), self.kv.connect());
        let (mut redis_said, mut kv_said) = (Vec::new(), Vec::new());
        // One that refuses closes while the rest is on its way.
        let _ = redis.write_all(input);
        let _ = redis.shutdown(Shutdown::Write);
        let _ = redis.read_to_end(&mut redis_said);
        let _ = kv.write_all(input);
        let _ = kv.shutdown(Shutdown::Write);
        let _ = kv.read_to_end(&mut kv_said);
        (redis_said, kv_said)
    }
}

/// Makes equal what may differ: order where there is none, random choice, the time that has passed
/// between the two, and what a server says of itself.
fn forgive(command: &[Vec<u8>], redis: &mut Reply, kv: &mut Reply) {
    let name = command[0].to_ascii_uppercase();
    match &name[..] {
        b"TTL" | b"EXPIRETIME" => return forgive_time(redis, kv, 60),
        b"PTTL" | b"PEXPIRETIME" => return forgive_time(redis, kv, 60_000),
        _ => {}
    }
    for reply in [redis, kv] {
        match &name[..] {
            b"SMEMBERS" | b"KEYS" => reply.elements().sort(),
            b"HGETALL" | b"CONFIG" => reply.elements().as_chunks_mut::<2>().0.sort(),
            b"SPOP" | b"RANDOMKEY" => forget_text(reply),
            // Expired keys count until they are removed, which each does in its own time.
            b"DBSIZE" | b"CLIENT" => forget_number(reply),
            b"HELLO" => reply.elements().get_mut(7).into_iter().for_each(forget_number),
            _ => {}
        }
        if matches!(&name[..], b"INFO" | b"CLIENT") && describes_itself(reply) {
            forget_text(reply);
        }
    }
}

/// Whether it is the text of INFO or CLIENT INFO.
fn describes_itself(reply: &Reply) -> bool {
    let (Reply::Verbatim(text) | Reply::Bulk(text)) = reply else { return false };
    let text = text.strip_prefix(b"txt:").unwrap_or(text);
    text.starts_with(b"id=") || text.starts_with(b"# ")
}

fn forget_number(reply: &mut Reply) {
    if let Reply::Integer(number) = reply {
        *number = 0;
    }
}

fn forget_text(reply: &mut Reply) {
    match reply {
        Reply::Bulk(text) | Reply::Verbatim(text) => text.clear(),
        reply => reply.elements().iter_mut().for_each(forget_text),
    }
}

fn forgive_time(redis: &Reply, kv: &mut Reply, tolerance: i64) {
    if let (Reply::Integer(redis), Reply::Integer(kv)) = (redis, kv)
        && *redis > tolerance
        && redis.abs_diff(*kv) < tolerance as u64
    {
        *kv = *redis;
    }
}

pub(super) fn quoted(command: &[Vec<u8>]) -> String {
    let word = |word: &Vec<u8>| match word.len() {
        0..200 => format!("\"{}\"", word.escape_ascii()),
        length => format!("({length} bytes)"),
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A redis-server on a socket in a directory of its own; killed when it is dropped.
struct Redis {
    child: Child,
    socket: PathBuf,
    _directory: TempDir,
}

impl Redis {
    fn start() -> Redis {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("redis.sock");
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.lines().map(|line| line.unwrap());
        let ready =
            lines.any(|line| line.contains("ready to accept") || line.contains("Ready to accept"));
        assert!(ready, "redis-server did not start");
        Redis { child, socket, _directory: directory }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
