//! What `kv` promises beyond what a client shows.

use std::collections::BTreeSet;
use std::io::Write;
use std::thread;

use heist_tests::hang_guard;
use rustix::process::Signal;

use crate::program::{Program, assert_refused};
use crate::resp::{Client, request};

#[test]
fn bad_options_are_one_line_and_exit_code_2() {
    let _guard = hang_guard("bad options");
    assert_refused("kv", &["--frobnicate"], &["kv:", "--frobnicate"]);
    assert_refused("kv", &["--workers", "0"], &["--workers"]);
    assert_refused("kv", &["--listen", "nowhere"], &["--listen", "nowhere"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused("kv", &["--listen", &address], &[&address, "in use"]);
}

#[test]
fn pipeline_is_answered_in_order_wherever_it_is_cut() {
    let _guard = hang_guard("cut pipeline");
    let program = Program::start("kv", &[]);
    let pipeline = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n\r\n\r\nPING\r\n*0\r\n\r\n\
        *2\r\n$3\r\nget\r\n$1\r\nk\r\nECHO last\r\n";
    for cut in 0..pipeline.len() {
        let mut client = Client::connect(&program);
        client.stream.set_nodelay(true).unwrap();
        client.send(&pipeline[..cut]);
        client.send(&pipeline[cut..]);
        let replies = [(); 4].map(|()| client.reply());
        assert_eq!(replies, ["OK", "PONG", "\r\n\r\n", "last"], "{cut}");
    }
    assert_eq!(program.end(), "");
}

#[test]
fn longest_string_passes_and_a_longer_one_is_refused_with_a_word() {
    let _guard = hang_guard("long strings");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    let longest = vec![b'x'; 8 << 20];
    client.send(request([&b"SET"[..], b"long", &longest].into_iter()));
    assert_eq!(client.reply(), "OK");
    assert_eq!(client.ask("STRLEN long"), "8388608");
    assert_eq!(client.ask("APPEND long x"), "ERR string exceeds maximum allowed size (8 MiB)");
    assert_eq!(client.ask("GET long").len(), 8 << 20);
    // The client sends all of it before it looks.
    client.send(request([&b"SET"[..], b"long", &[&longest[..], b"x"].concat()].into_iter()));
    assert_eq!(client.reply(), "ERR Protocol error: invalid bulk length");
    assert_eq!(program.end(), "");
}

#[test]
fn many_arguments_come_in_pieces_and_too_many_are_refused() {
    let _guard = hang_guard("many arguments");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    let members: Vec<String> = (0..65_534).map(|index| format!("member:{index}")).collect();
    let words = ["SADD", "set"].into_iter().chain(members.iter().map(String::as_str));
    client.send(request(words.map(str::as_bytes)));
    assert_eq!(client.reply(), "65534");
    client.send("*65537\r\n");
    assert_eq!(client.reply(), "ERR Protocol error: invalid multibulk length");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    client.assert_closed();
}

#[test]
fn promised_lengths_take_no_memory() {
    let _guard = hang_guard("promised lengths");
    let program = Program::start("kv", &[]);
    let mut observer = Client::connect(&program);
    assert_eq!(observer.ask("PING"), "PONG");
    let before = program.allocated();
    let filler = "x".repeat(20_000);
    let mut clients: Vec<Client> = (0..100).map(|_| Client::connect(&program)).collect();
    for client in &mut clients {
        // The answer goes out when all of this was looked at.
        client.send(format!("PING\r\n*65536\r\n$8388608\r\n{filler}"));
        assert_eq!(client.reply(), "PONG");
    }
    let grown = program.allocated().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for 100 connections that promise 8 MiB");
}

#[test]
fn transaction_is_seen_whole_or_not_at_all() {
    let _guard = hang_guard("atomic");
    let program = Program::start("kv", &["--workers", "2"]);
    // Many pairs, so that some are in two shards and some in one.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::connect(&program);
                for round in 0..400 {
                    let pair = round % 8;
                    client.send(format!(
                        "MULTI\r\nINCR left:{pair}\r\nINCR right:{pair}\r\nEXEC\r\n"
                    ));
                    let replies = [(); 4].map(|()| client.reply());
                    assert_eq!(replies[..3], ["OK", "QUEUED", "QUEUED"]);
                }
            });
        }
        scope.spawn(|| {
            let mut client = Client::connect(&program);
            for round in 0..400 {
                let pair = round % 8;
                let seen = client.ask(&format!("MGET left:{pair} right:{pair}"));
                let (left, right) = seen[1..seen.len() - 1].split_once(' ').expect("two values");
                assert_eq!(left, right, "half of a transaction was seen");
            }
        });
    });
    let mut client = Client::connect(&program);
    assert_eq!(client.ask("GET left:0"), "100");
    assert_eq!(program.end(), "");
}

#[test]
fn watched_key_that_changed_stops_the_transaction() {
    let _guard = hang_guard("watch");
    let program = Program::start("kv", &[]);
    let (mut one, mut other) = (Client::connect(&program), Client::connect(&program));
    for (meanwhile, outcome) in [("SET k 2", "nil"), ("GET k", "[OK]"), ("DEL k", "nil")] {
        one.ask("SET k 1");
        assert_eq!(one.ask("WATCH k unrelated"), "OK");
        other.ask(meanwhile);
        assert_eq!(one.ask("MULTI"), "OK");
        assert_eq!(one.ask("SET k mine"), "QUEUED");
        assert_eq!(one.ask("EXEC"), outcome, "{meanwhile}");
    }
    // A refused command spoils all of it; a command that fails in it does not.
    one.ask("MULTI");
    one.ask("SET k spoiled");
    assert!(one.ask("SET").starts_with("ERR wrong number"));
    assert!(one.ask("EXEC").starts_with("EXECABORT"));
    one.ask("MULTI");
    one.ask("LPUSH list a");
    one.ask("INCR list");
    one.ask("LLEN list");
    assert!(one.ask("EXEC").ends_with("wrong kind of value 1]"));
    one.ask("MULTI");
    assert_eq!(one.ask("DISCARD"), "OK");
    assert_eq!(one.ask("EXEC"), "ERR EXEC without MULTI");
}

#[test]
fn expired_keys_are_gone_when_asked_for_and_also_when_not() {
    let _guard = hang_guard("expiry");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    assert_eq!(client.ask("SET asked x PX 1"), "OK");
    while client.ask("GET asked") != "nil" {}
    // A thousand keys that nobody asks for, and one that stays.
    for index in 0..1000 {
        client.send(format!("SET unasked:{index} x PX 1\r\n"));
    }
    (0..1000).for_each(|_| assert_eq!(client.reply(), "OK"));
    assert_eq!(client.ask("SET stays x EX 1000"), "OK");
    while client.ask("DBSIZE") != "1" {}
    assert_eq!(client.ask("EXPIRE stays 10 NX"), "0");
    assert_eq!(client.ask("EXPIREAT stays 1"), "1");
    assert_eq!(client.ask("EXISTS stays"), "0");
    assert!(client.ask("SET k v EX 0").starts_with("ERR invalid expire time"));
    assert!(client.ask("SET k v EX 9223372036854775807").starts_with("ERR invalid expire time"));
}

#[test]
fn scan_sees_all_that_stays_while_others_come_and_go() {
    let _guard = hang_guard("scan");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    let ask_all = |client: &mut Client, command: &str, keys: std::ops::Range<usize>| {
        for key in keys.clone() {
            client.send(format!("{command} key:{key} x\r\n"));
        }
        keys.for_each(|_| drop(client.reply()));
    };
    ask_all(&mut client, "SET", 0..2000);
    let (mut cursor, mut seen, mut next) = ("0".to_owned(), BTreeSet::new(), 1000);
    loop {
        let reply = client.ask(&format!("SCAN {cursor} COUNT 50 MATCH key:*"));
        let (head, keys) = reply[1..].split_once(' ').unwrap();
        let keys = keys.trim_matches(['[', ']']).split_whitespace();
        seen.extend(keys.filter_map(|key| key.strip_prefix("key:")?.parse::<usize>().ok()));
        cursor = head.to_owned();
        if cursor == "0" {
            break;
        }
        // Remove some of those that need not be seen.
        for _ in 0..20.min(2000 - next) {
            client.ask(&format!("DEL key:{next}"));
            next += 1;
        }
    }
    assert!((0..1000).all(|key| seen.contains(&key)), "a key that stayed was not seen");
}

#[test]
fn replies_of_version_3_say_what_they_are() {
    let _guard = hang_guard("version 3");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    assert_eq!(client.ask("HELLO 4"), "NOPROTO unsupported protocol version");
    assert!(client.ask("HELLO 3 SETNAME me").starts_with("map [server redis"));
    assert_eq!(client.ask("CLIENT GETNAME"), "me");
    assert_eq!(client.ask("GET nothing"), "nil");
    client.ask("HSET hash a 1");
    assert_eq!(client.ask("HGETALL hash"), "map [a 1]");
    client.ask("SADD set a");
    assert_eq!(client.ask("SMEMBERS set"), "set [a]");
    client.ask("ZADD sorted 1.5 a");
    assert_eq!(client.ask("ZRANGE sorted 0 -1 WITHSCORES"), "[[a 1.5]]");
    assert_eq!(client.ask("RESET"), "RESET");
    assert_eq!(client.ask("HGETALL hash"), "[a 1]");
}

#[test]
fn killed_client_is_disconnected_and_the_killer_is_not() {
    let _guard = hang_guard("kill");
    let program = Program::start("kv", &[]);
    let (mut one, mut other) = (Client::connect(&program), Client::connect(&program));
    let id = other.ask("CLIENT ID");
    assert_eq!(one.ask(&format!("CLIENT KILL ID {id}")), "1");
    other.assert_closed();
    assert_eq!(one.ask("PING"), "PONG");
    drop(other);
    while one.ask("CLIENT LIST").contains(&format!("id={id} ")) {}
}

#[test]
fn client_that_does_not_read_is_killed_all_the_same() {
    let _guard = hang_guard("kill who does not read");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    client.send(request([&b"SET"[..], b"k", &vec![b'x'; 1 << 20]].into_iter()));
    assert_eq!(client.reply(), "OK");
    client.send(b"GET k\r\n".repeat(100));
    // Until it is read from no more.
    let mut observer = Client::connect(&program);
    let (mut before, mut unchanged) = (String::new(), 0);
    while unchanged < 3 {
        let list = observer.ask("CLIENT LIST");
        let now = list.lines().find(|line| line.contains("id=1 ")).unwrap().to_owned();
        let begun = !now.ends_with("tot-cmds=1");
        unchanged = if begun && now == before { unchanged + 1 } else { 0 };
        before = now;
    }
    assert!(!before.ends_with("tot-cmds=101"), "all was read: {before}");
    assert_eq!(observer.ask("CLIENT KILL ID 1"), "1");
    while observer.ask("CLIENT LIST").contains("id=1 ") {}
    assert_eq!(program.end(), "");
}

#[test]
fn client_that_kills_itself_gets_the_reply() {
    let _guard = hang_guard("kill oneself");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    assert_eq!(client.ask("CLIENT KILL ID 1"), "1");
    client.assert_closed();
}

#[test]
fn silent_client_is_disconnected_only_if_there_is_a_timeout() {
    let _guard = hang_guard("timeout");
    let (patient, impatient) =
        (Program::start("kv", &[]), Program::start("kv", &["--timeout", "1"]));
    let [mut kept, mut dropped] = [&patient, &impatient].map(Client::connect);
    assert_eq!((kept.ask("PING"), dropped.ask("PING")), ("PONG".to_owned(), "PONG".to_owned()));
    dropped.assert_closed();
    assert_eq!(kept.ask("PING"), "PONG");
}

#[test]
fn server_that_ends_answers_what_has_come() {
    let _guard = hang_guard("drain");
    let program = Program::start("kv", &[]);
    let (mut idle, mut busy) = (Client::connect(&program), Client::connect(&program));
    assert_eq!(idle.ask("PING"), "PONG");
    busy.send("PING\r\n*2\r\n$4\r\nECHO\r\n");
    assert_eq!(busy.reply(), "PONG");
    program.signal(Signal::INT);
    idle.assert_closed();
    busy.send("$4\r\nlast\r\n");
    assert_eq!(busy.reply(), "last");
    busy.assert_closed();
    drop((idle, busy));
    let (code, report) = program.wait();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.starts_with("stopped: ") && report.contains(" 0 cut"), "{report}");
}

#[test]
fn client_that_does_not_read_is_not_read_from() {
    let _guard = hang_guard("not reading");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    client.send(request([&b"SET"[..], b"k", &vec![b'x'; 1 << 20]].into_iter()));
    assert_eq!(client.reply(), "OK");
    let before = program.resident();
    // 4,096 replies of 1 MiB each are asked for and not read.
    let mut writer = client.stream.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(&b"GET k\r\n".repeat(4096)).is_ok());
    let mut observer = Client::connect(&program);
    (0..100).for_each(|_| assert_eq!(observer.ask("PING"), "PONG"));
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for replies that nobody reads");
    drop((client, program));
    let _ = writing.join().unwrap();
}
