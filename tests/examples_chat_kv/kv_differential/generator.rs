//! Random commands, many of them hostile, that lead to the same data in either server.

use fastrand::Rng;

use super::oracle::CONNECTIONS;
use super::reply::Reply;

pub(super) struct Generator {
    random: Rng,
    /// Sets of which the two servers have removed different members, to be deleted next.
    different: Vec<(usize, Vec<u8>)>,
    in_transaction: [bool; CONNECTIONS],
}

type Words = Vec<Vec<u8>>;

impl Generator {
    pub(super) fn new(seed: u64) -> Generator {
        let random = Rng::with_seed(seed);
        Generator { random, different: Vec::new(), in_transaction: [false; CONNECTIONS] }
    }

    /// A connection, and what it is to send.
    pub(super) fn next(&mut self) -> (usize, Words) {
        if let Some((connection, key)) = self.different.pop() {
            return (connection, vec![b"DEL".to_vec(), key]);
        }
        let connection = usize::from(self.random.u8(..5) == 0);
        let mut command = self.command(connection);
        match self.random.u8(..40) {
            // Another number of arguments.
            0 => drop(command.pop()),
            1 => command.push(self.value()),
            2 => {
                let place = self.random.usize(1..=command.len());
                command.insert(place, self.option());
            }
            _ => {}
        }
        if command.is_empty() {
            command.push(b"PING".to_vec());
        }
        if self.random.bool() {
            command[0].make_ascii_lowercase();
        }
        (connection, command)
    }

    /// Follows what the command did.
    pub(super) fn learn(&mut self, connection: usize, command: &[Vec<u8>], reply: &Reply) {
        match &command[0].to_ascii_uppercase()[..] {
            b"MULTI" if !reply.is_error() => self.in_transaction[connection] = true,
            b"EXEC" => self.in_transaction[connection] = false,
            b"DISCARD" | b"RESET" if !reply.is_error() => self.in_transaction[connection] = false,
            b"SPOP" if !reply.is_error() => self.different.push((connection, command[1].clone())),
            _ => {}
        }
    }

    fn command(&mut self, connection: usize) -> Words {
        let in_transaction = self.in_transaction[connection];
        let templates = match self.random.u8(..12) {
            0 => STRINGS,
            1 => NUMBERS,
            2 => HASHES,
            3 => LISTS,
            4 => SETS,
            5 => SORTED,
            6 | 7 => EXPIRY,
            8 => KEYS,
            9 | 10 => TRANSACTIONS,
            _ => CONNECTION,
        };
        let mut template = templates[self.random.usize(..templates.len())];
        // Their choice is random, which cannot be mended before EXEC.
        if in_transaction && template.starts_with("SPOP") {
            template = "SCARD k";
        }
        // A transaction seldom lasts long.
        if in_transaction && self.random.u8(..8) == 0 {
            template = "EXEC";
        }
        template.split(' ').flat_map(|word| self.words(word)).collect()
    }

    /// What a word of a template stands for.
    fn words(&mut self, word: &str) -> Words {
        match word {
            "k" => vec![self.key()],
            "v" => vec![self.value()],
            "i" => vec![self.integer()],
            "f" => vec![self.float()],
            "m" => vec![self.member()],
            "t" => vec![self.time()],
            "T" => vec![self.unix_time()],
            "o" => vec![self.option()],
            "o?" => self.repeat(0..3, Generator::option),
            "m+" => self.repeat(1..6, Generator::member),
            "k+" => self.repeat(1..5, Generator::key),
            "v+" => self.repeat(1..5, Generator::value),
            "kv+" => self.pairs(Generator::key, Generator::value),
            "mv+" => self.pairs(Generator::member, Generator::value),
            "fm+" => self.pairs(Generator::float, Generator::member),
            "i?" => self.repeat(0..2, Generator::integer),
            "p" => vec![self.pick(PATTERNS)],
            _ => vec![word.as_bytes().to_vec()],
        }
    }

    fn repeat(
        &mut self,
        count: std::ops::Range<usize>,
        one: fn(&mut Generator) -> Vec<u8>,
    ) -> Words {
        (0..self.random.usize(count)).map(|_| one(self)).collect()
    }

    fn pairs(
        &mut self,
        one: fn(&mut Generator) -> Vec<u8>,
        other: fn(&mut Generator) -> Vec<u8>,
    ) -> Words {
        (0..self.random.usize(1..4)).flat_map(|_| [one(self), other(self)]).collect()
    }

    fn pick(&mut self, from: &[&str]) -> Vec<u8> {
        from[self.random.usize(..from.len())].as_bytes().to_vec()
    }

    fn key(&mut self) -> Vec<u8> {
        match self.random.u8(..20) {
            0 => b"\x00\xff\r\n key".to_vec(),
            1 => Vec::new(),
            _ => format!("key:{}", self.random.u8(..12)).into_bytes(),
        }
    }

    fn member(&mut self) -> Vec<u8> {
        match self.random.u8(..12) {
            0 => self.value(),
            1 => self.integer(),
            _ => format!("m{}", self.random.u8(..30)).into_bytes(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.u16(..400) {
            0 => vec![b'x'; self.random.usize(..3_000_000)],
            1..10 => (0..self.random.usize(..40_000)).map(|_| self.random.u8(..)).collect(),
            10..60 => (0..self.random.usize(..20)).map(|_| self.random.u8(..)).collect(),
            60..130 => self.integer(),
            130..200 => self.float(),
            _ => self.pick(&["", "v", "hello world", "\u{1F600}", "-", "nx"]),
        }
    }

    fn integer(&mut self) -> Vec<u8> {
        match self.random.u8(..4) {
            0 => self.pick(INTEGERS),
            _ => self.random.i32(-6..12).to_string().into_bytes(),
        }
    }

    fn float(&mut self) -> Vec<u8> {
        match self.random.u8(..4) {
            0 => self.pick(FLOATS),
            1 => self.integer(),
            2 => f64::from_bits(self.random.u64(..)).to_string().into_bytes(),
            _ => format!("{:.*}", self.random.usize(..20), self.random.f64() * 100.0).into_bytes(),
        }
    }

    /// A time to live, in seconds or milliseconds: none that ends while the test runs.
    fn time(&mut self) -> Vec<u8> {
        match self.random.u8(..3) {
            0 => self.pick(&["0", "-1", "-9223372036854775808", "9223372036854775807", "x", "1.5"]),
            1 => self.pick(&["9223372036854775", "9223372036854776", "9223370000000000000"]),
            _ => (self.random.u64(1..5) * 100_000_000).to_string().into_bytes(),
        }
    }

    fn unix_time(&mut self) -> Vec<u8> {
        match self.random.u8(..3) {
            0 => self.time(),
            1 => self.pick(&["1", "1000000000", "99999999999999", "9223372036854775807"]),
            _ => (self.random.u64(4..8) * 1_000_000_000_000).to_string().into_bytes(),
        }
    }

    fn option(&mut self) -> Vec<u8> {
        self.pick(OPTIONS)
    }
}

const STRINGS: &[&str] = &[
    "GET k",
    "SET k v",
    "SET k v o?",
    "SET k v EX t o?",
    "SET k v PX t",
    "SET k v o? EXAT T",
    "SET k v PXAT T o?",
    "SET k v KEEPTTL o?",
    "SETNX k v",
    "STRLEN k",
    "GETRANGE k i i",
    "MGET k+",
    "MSET kv+",
    "MSETNX kv+",
];

const NUMBERS: &[&str] = &[
    "INCR k",
    "DECR k",
    "INCRBY k i",
    "DECRBY k i",
    "INCRBYFLOAT k f",
    "SET k i",
    "SET k f",
    "GET k",
];

const HASHES: &[&str] = &["HSET k mv+", "HGET k m", "HGETALL k", "HLEN k", "HDEL k m+"];

const LISTS: &[&str] = &[
    "LPUSH k v+",
    "RPUSH k v+",
    "LPOP k i?",
    "RPOP k i?",
    "LLEN k",
    "LRANGE k i i",
    "LRANGE k 0 -1",
];

const SETS: &[&str] = &["SADD k m+", "SREM k m+", "SPOP k", "SPOP k i", "SCARD k", "SMEMBERS k"];

const SORTED: &[&str] = &[
    "ZADD k fm+",
    "ZADD k fm+",
    "ZADD k o? fm+",
    "ZADD k o INCR f m",
    "ZINCRBY k f m",
    "ZREM k m+",
    "ZSCORE k m",
    "ZCARD k",
    "ZRANK k m",
    "ZREVRANK k m",
    "ZREVRANGE k i i",
    "ZREVRANGE k i i WITHSCORES",
    "ZPOPMIN k i?",
    "ZPOPMAX k i?",
];

const EXPIRY: &[&str] = &[
    "EXPIRE k t",
    "EXPIRE k t o?",
    "PEXPIRE k t o?",
    "EXPIREAT k T o?",
    "PEXPIREAT k T o?",
    "TTL k",
    "PTTL k",
    "EXPIRETIME k",
    "PEXPIRETIME k",
    "PERSIST k",
];

const KEYS: &[&str] = &[
    "DBSIZE",
    "KEYS p",
    "RANDOMKEY",
    "DEL k+",
    "UNLINK k+",
    "EXISTS k+",
    "TYPE k",
    "RENAME k k",
    "RENAMENX k k",
    "DEL k",
    "TYPE k",
    "FLUSHALL o?",
    "FLUSHDB async",
];

const TRANSACTIONS: &[&str] = &[
    "MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "WATCH k+", "WATCH k", "UNWATCH", "SET k v",
    "DEL k",
];

const CONNECTION: &[&str] = &[
    "PING",
    "PING v",
    "ECHO v",
    "HELLO",
    "HELLO 2",
    "HELLO 3",
    "HELLO i",
    "HELLO 3 SETNAME m",
    "HELLO 3 o",
    "HELLO 3 AUTH default v SETNAME m",
    "HELLO 2 AUTH m v",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT GETNAME",
    "CLIENT SETNAME v",
    "CLIENT SETNAME m",
    "CLIENT v",
    "CLIENT|ID v",
    "CONFIG|GET save",
    "RESET",
    "INFO",
    "INFO server o",
    "CONFIG GET maxmemory",
    "CONFIG GET appendonl? SAVE",
    "CONFIG GET proto-max-bulk-len nothing",
    "CONFIG v",
];

const OPTIONS: &[&str] = &[
    "NX",
    "XX",
    "GT",
    "LT",
    "CH",
    "INCR",
    "GET",
    "KEEPTTL",
    "EX",
    "PX",
    "nx",
    "Xx",
    "gt",
    "lt",
    "WITHSCORES",
    "LIMIT",
    "SETNAME",
    "ASYNC",
    "SYNC",
    "junk",
    "NX\0junk",
    "xx\0",
    "",
    "0",
];

const INTEGERS: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "1e3",
    "+1",
    "01",
    "-0",
    " 1",
    "1 ",
    "",
    "x",
    "0x10",
    "2147483648",
    "4294967296",
    "1.0",
];

const FLOATS: &[&str] = &[
    "inf",
    "-inf",
    "+Infinity",
    "nan",
    "-NaN",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
    "0x1.8p3",
    "0X10",
    "1e300",
    "1e17",
    "1e16",
    "-0",
    "0.1",
    "0.2",
    "3.0e3",
    ".5",
    "5.",
    ".",
    "1e",
    "e1",
    "1_0",
    "0.000001",
    "1e-7",
    "123456789012345678901234567890",
    "1e4000",
    "1e4932",
    "1e5000",
    " 1",
    "1 ",
    "0.3",
    "17976931348623157e292",
    "1.7976931348623157e308",
    "9007199254740993",
    "1e22",
    "1e23",
    "0.000003814697265625",
    "-0.000011444091796875",
    "0x1p-9999",
    "infin",
    "1e+5",
    "1E5",
    "--1",
];

const PATTERNS: &[&str] = &[
    "*",
    "key:*",
    "key:?",
    "key:[0-5]",
    "key:[^0-5]",
    "k*y*1*",
    "**",
    "",
    "[",
    "key:[1",
    "key:\\1",
    "\\",
    "[a-",
    "[^",
    "key:[0-]*",
    "*[\u{80}-\u{ff}]*",
    "key:1[01]",
    "k[]ey",
    "*\\",
    "??????",
];
