//! `kv` beside a real redis-server: the same requests to both have to get the same replies.

mod generator;
mod oracle;
mod reply;

use heist_tests::{hang_guard, has_tool};

use self::generator::Generator;
use self::oracle::Pair;
use crate::program::Program;

#[test]
fn random_commands_get_the_replies_of_redis() {
    let _guard = hang_guard("differential");
    if !has_redis("random_commands_get_the_replies_of_redis") {
        return;
    }
    // Another seed finds other things: HEIST_SEED=7 HEIST_COMMANDS=1000000 cargo test …
    let seed = number("HEIST_SEED").unwrap_or(2026);
    let commands = number("HEIST_COMMANDS").unwrap_or(20_000);
    let mut pair = Pair::start();
    let mut generator = Generator::new(seed);
    for index in 0..commands {
        let (connection, command) = generator.next();
        let outcome = pair.ask(connection, &command);
        generator.learn(connection, &command, &outcome.kv);
        assert!(
            outcome.agrees(),
            "command {index} of seed {seed}, connection {connection}:\n{}\nredis: {:?}\nkv:    {:?}",
            oracle::quoted(&command),
            outcome.redis,
            outcome.kv
        );
    }
    pair.assert_same_data();
}

/// Failure: a long number took a time that grew with the square of its length, and exponents beyond
/// 65,536 were read wrong.
#[test]
fn numbers_of_any_length_get_the_replies_of_redis() {
    let _guard = hang_guard("long numbers");
    if !has_redis("numbers_of_any_length_get_the_replies_of_redis") {
        return;
    }
    let mut pair = Pair::start();
    for score in [
        "9".repeat(400_000) + "e-399692",
        "1".repeat(1_000_000) + "e-1000000",
        "0.".to_owned() + &"0".repeat(323) + &"2".repeat(200_000),
        "0.".to_owned() + &"0".repeat(99_990) + "1e999999",
        "0.".to_owned() + &"0".repeat(99_990) + "1e99999",
        "1".to_owned() + &"0".repeat(99_995) + "e-999999",
        "2".repeat(309) + "." + &"1".repeat(200_000),
        "0x".to_owned() + &"f".repeat(100_000) + "p-400000",
        "0x0.".to_owned() + &"0".repeat(100_000) + "1p400004",
        // In the middle between two doubles, and a little more.
        "9007199254740993".to_owned() + "." + &"0".repeat(1000),
        "9007199254740993".to_owned() + "." + &"0".repeat(1000) + "1",
        "1e99999999999999999999".to_owned(),
        "1e-99999999999999999999".to_owned(),
        "0e99999999999999999999".to_owned(),
        "2.2250738585072011e-308".to_owned(),
        "4.9e-324".to_owned(),
        "2.4e-324".to_owned(),
    ] {
        for command in [["ZADD", "z", &score, "m"], ["ZSCORE", "z", "m", ""]] {
            let words = command.iter().filter(|word| !word.is_empty());
            let command: Vec<Vec<u8>> = words.map(|word| word.as_bytes().to_vec()).collect();
            let outcome = pair.ask(0, &command);
            let (redis, kv) = (&outcome.redis, &outcome.kv);
            assert!(outcome.agrees(), "{}: {redis:?} {kv:?}", &score[..score.len().min(40)]);
        }
    }
}

#[test]
fn inline_requests_and_broken_ones_get_the_bytes_of_redis() {
    let _guard = hang_guard("raw bytes");
    if !has_redis("inline_requests_and_broken_ones_get_the_bytes_of_redis") {
        return;
    }
    let pair = Pair::start();
    let long_line = [b"ECHO ".to_vec(), vec![b'x'; 70_000]].concat();
    let long_count = [b"*".to_vec(), vec![b'1'; 70_000]].concat();
    for input in [
        &b"PING\r\nPING\nping   hello\t\r\n"[..],
        b"\r\n\r\n   \r\nPING\r\n",
        b"SET k \"two words\"\r\nGET k\r\n",
        b"ECHO \"\\x41\\n\\r\\t\\b\\a\\\\\\\"\\q\\xZZ\"\r\n",
        b"ECHO 'it\\'s \\n'\r\nECHO ''\r\nECHO \"\"\r\n",
        b"ECHO a\"b c\"\r\n",
        b"ECHO a\x0bb\r\nECHO \x0c\x0ba\r\n",
        b"ECHO \"open\r\nPING\r\n",
        b"ECHO 'open\r\n",
        b"ECHO \"a\"b\r\n",
        b"*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n",
        b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
        b"*x\r\n",
        b"*\r\n",
        b"*01\r\n",
        b"*+1\r\n",
        b"*2147483648\r\n",
        b"*99999999999999999999\r\n",
        b"*1\r\n+OK\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$ 4\r\nPING\r\n",
        b"*1\r\n\xff4\r\n",
        b"*1\r\n$536870913\r\n",
        b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
        b"*1\r\n$0\r\n\r\n",
        b"get\r\nset a\r\n",
        b"QUIT now\r\nPING\r\n",
        b"MULTI\r\nPING\r\nQUIT\r\n",
        b"PING\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"Host: x\r\n",
        &long_line,
        &long_count,
    ] {
        let (redis, kv) = pair.exchange(input);
        let show = |bytes: &[u8]| bytes[..bytes.len().min(300)].escape_ascii().to_string();
        assert_eq!(show(&kv), show(&redis), "{}", show(input));
    }
}

fn has_redis(test: &str) -> bool {
    has_tool(test, "redis-server", "redis-server")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

fn start_kv() -> Program {
    Program::start("kv", &["--workers", "2"])
}
