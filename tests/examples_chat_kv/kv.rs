//! What `kv` promises beyond what a client shows.

use std::io::Write;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use heist_tests::hang_guard;
use rustix::process::Signal;

use crate::program::{Program, assert_refused, command};
use crate::resp::{Client, request};

#[test]
fn bad_options_are_named_and_the_exit_code_is_2() {
    let _guard = hang_guard("bad options");
    for (options, word) in [
        (["--frobnicate", "1"], "--frobnicate"),
        (["--workers", "0"], "--workers"),
        (["--listen", "nowhere"], "nowhere"),
    ] {
        let outcome = command("kv").args(options).output().unwrap();
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        let complaint = String::from_utf8(outcome.stderr).unwrap();
        assert!(complaint.lines().next().is_some_and(|line| line.contains(word)), "{complaint}");
    }
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
        client.send(format!("PING\r\n*2147483647\r\n$536870912\r\n{filler}"));
        assert_eq!(client.reply(), "PONG");
    }
    let grown = program.allocated().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for 100 connections that promise 512 MiB");
}

#[test]
fn transaction_is_seen_whole_or_not_at_all() {
    let _guard = hang_guard("atomic");
    let program = Program::start("kv", &["--workers", "2"]);
    // All three have begun, and the reader ends when the writers have.
    let (begun, writing) = (Barrier::new(3), AtomicUsize::new(2));
    // Many pairs, so that some are in two shards and some in one.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::connect(&program);
                begun.wait();
                for round in 0..400 {
                    let pair = round % 8;
                    client.send(format!(
                        "MULTI\r\nINCR left:{pair}\r\nINCR right:{pair}\r\nEXEC\r\n"
                    ));
                    let replies = [(); 4].map(|()| client.reply());
                    assert_eq!(replies[..3], ["OK", "QUEUED", "QUEUED"]);
                }
                writing.fetch_sub(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            let mut client = Client::connect(&program);
            begun.wait();
            for pair in (0..8).cycle() {
                if writing.load(Ordering::Relaxed) == 0 {
                    break;
                }
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
    // A thousand keys that no client asks for, and one that stays.
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
    assert_eq!(client.ask("ZREVRANGE sorted 0 -1 WITHSCORES"), "[[a 1.5]]");
    assert_eq!(client.ask("RESET"), "RESET");
    assert_eq!(client.ask("HGETALL hash"), "[a 1]");
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
    assert!(report.starts_with("stopped: ") && report.contains(" 0 force-closed"), "{report}");
}

#[test]
fn long_strings_and_many_arguments_come_in_pieces() {
    let _guard = hang_guard("long requests");
    let program = Program::start("kv", &["--memory", "64"]);
    let mut client = Client::connect(&program);
    let long = vec![b'x'; 20 << 20];
    client.send(request([&b"SET"[..], b"long", &long].into_iter()));
    assert_eq!(client.reply(), "OK");
    assert_eq!(client.ask("STRLEN long"), "20971520");
    assert_eq!(client.ask("GET long").len(), 20 << 20);
    let members: Vec<String> = (0..200_000).map(|index| format!("member:{index}")).collect();
    let words = ["SADD", "set"].into_iter().chain(members.iter().map(String::as_str));
    client.send(request(words.map(str::as_bytes)));
    assert_eq!(client.reply(), "200000");
    // The client sends all of it before it looks.
    client.send(request([&b"SET"[..], b"long", &vec![b'x'; 65 << 20]].into_iter()));
    assert!(client.reply().starts_with("OOM "));
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    client.assert_closed();
    assert_eq!(Client::connect(&program).ask("STRLEN long"), "20971520");
    assert_eq!(program.end(), "");
}

#[test]
fn transaction_takes_no_more_memory_than_it_may() {
    let _guard = hang_guard("large transaction");
    let program = Program::start("kv", &["--memory", "8"]);
    let mut client = Client::connect(&program);
    let set = request([&b"SET"[..], b"k", &vec![b'x'; 1 << 20]].into_iter());
    assert_eq!(client.ask("MULTI"), "OK");
    let mut queued = 0;
    let refusal = loop {
        client.send(&set);
        match client.reply() {
            reply if reply == "QUEUED" => queued += 1,
            reply => break reply,
        }
    };
    assert!(refusal.starts_with("OOM "), "{refusal}");
    assert!((3..8).contains(&queued), "{queued}");
    assert!(client.ask("EXEC").starts_with("EXECABORT"));
    assert_eq!(client.ask("EXISTS k"), "0");
    // What it took was given back.
    assert_eq!(client.ask("MULTI"), "OK");
    client.send(&set);
    assert_eq!(client.reply(), "QUEUED");
    assert_eq!(client.ask("EXEC"), "[OK]");
    assert_eq!(program.end(), "");
}

/// Failure: what was refused stayed charged, and other clients were refused for it.
#[test]
fn refused_transactions_and_repeated_watches_take_no_memory() {
    let _guard = hang_guard("charges");
    let program = Program::start("kv", &["--memory", "1"]);
    let (mut one, mut other) = (Client::connect(&program), Client::connect(&program));
    assert_eq!(one.ask("MULTI"), "OK");
    assert!(one.ask("NONSENSE").starts_with("ERR unknown command"));
    for _ in 0..100 {
        one.send(b"PING\r\n".repeat(1000));
        (0..1000).for_each(|_| assert_eq!(one.reply(), "QUEUED"));
    }
    for _ in 0..100 {
        other.send(b"WATCH k\r\n".repeat(1000));
        (0..1000).for_each(|_| assert_eq!(other.reply(), "OK"));
    }
    assert_eq!(other.ask("MULTI"), "OK");
    assert_eq!(other.ask("PING"), "QUEUED");
    assert_eq!(other.ask("EXEC"), "[PONG]");
    assert_eq!(program.end(), "");
}

#[test]
fn watched_key_that_expires_is_a_change_and_one_that_had_is_none() {
    let _guard = hang_guard("watched expiry");
    let program = Program::start("kv", &[]);
    let (mut one, mut other) = (Client::connect(&program), Client::connect(&program));
    watch_what_expires(&mut one);
    while other.ask("EXISTS k") == "1" {}
    one.ask("MULTI");
    one.ask("PING");
    assert_eq!(one.ask("EXEC"), "nil");
    // Now it is gone, and stays so.
    one.ask("WATCH k");
    one.ask("MULTI");
    one.ask("PING");
    assert_eq!(one.ask("EXEC"), "[PONG]");
    // Nothing but EXEC looks at it.
    watch_what_expires(&mut one);
    one.ask("MULTI");
    one.ask("PING");
    while other.ask("DBSIZE") == "1" {}
    assert_eq!(one.ask("EXEC"), "nil");
    assert_eq!(program.end(), "");
}

/// Has `client` watch a key that is there and expires soon.
fn watch_what_expires(client: &mut Client) {
    let mut milliseconds = 20;
    loop {
        client.ask(&format!("SET k v PX {milliseconds}"));
        client.ask("WATCH k");
        if client.ask("EXISTS k") == "1" {
            return;
        }
        // On a slow machine it has expired before it was watched.
        client.ask("UNWATCH");
        milliseconds *= 2;
    }
}

/// As `redis-cli --pipe` and others do: the whole pipeline goes out before a reply is read.
#[test]
fn pipeline_that_is_sent_before_it_is_read_is_answered() {
    const REQUESTS: usize = 300_000;
    let _guard = hang_guard("long pipeline");
    let program = Program::start("kv", &[]);
    let mut client = Client::connect(&program);
    let value = "x".repeat(100);
    assert_eq!(client.ask(&format!("SET k {value}")), "OK");
    client.send(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(REQUESTS));
    (0..REQUESTS).for_each(|_| assert_eq!(client.reply(), value));
    assert_eq!(client.ask("PING"), "PONG");
    assert_eq!(program.end(), "");
}

#[test]
fn unread_replies_take_no_more_memory_than_they_may() {
    let _guard = hang_guard("not reading");
    let program = Program::start("kv", &["--memory", "32"]);
    let mut client = Client::connect(&program);
    client.send(request([&b"SET"[..], b"k", &vec![b'x'; 1 << 20]].into_iter()));
    assert_eq!(client.reply(), "OK");
    let before = program.resident();
    // 4,096 replies of 1 MiB each are asked for and not read.
    let mut writer = client.stream.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(&b"GET k\r\n".repeat(4096)).is_ok());
    let mut observer = Client::connect(&program);
    // Others are served, before replies pile up and after.
    while program.resident() < before + (4 << 20) {
        assert_eq!(observer.ask("PING"), "PONG");
    }
    (0..1000).for_each(|_| assert_eq!(observer.ask("PING"), "PONG"));
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for unread replies");
    drop((client, program));
    let _ = writing.join().unwrap();
}
