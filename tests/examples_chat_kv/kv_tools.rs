//! `kv` under Redis's own clients.

use std::process::Command;

use heist_tests::{hang_guard, has_tool};

use crate::program::{Program, run};

fn cli(program: &Program, arguments: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    run(command.args(["-p", &program.port()]).args(arguments)).trim_end().to_owned()
}

#[test]
fn redis_cli_drives_every_kind_of_value() {
    let _guard = hang_guard("redis-cli");
    if !has_tool("redis_cli_drives_every_kind_of_value", "redis-cli", "redis-tools") {
        return;
    }
    let program = Program::start("kv", &[]);
    for (command, answer) in [
        ("PING", "PONG"),
        ("SET greeting hello EXAT 4102444800", "OK"),
        ("EXPIRETIME greeting", "4102444800"),
        ("SET greeting again NX", ""),
        ("GETRANGE greeting -3 -1", "llo"),
        ("INCRBY counter 41", "41"),
        ("INCR counter", "42"),
        ("INCR greeting", "ERR value is not an integer or out of range"),
        ("INCRBYFLOAT counter 0.5", "42.5"),
        ("MSET a 1 b 2 c 3", "OK"),
        ("MGET a nothing c", "1\n\n3"),
        ("DEL a b nothing", "2"),
        ("RENAME c d", "OK"),
        ("RPUSH list a b c d", "4"),
        ("LRANGE list 1 -2", "b\nc"),
        ("LPOP list 2", "a\nb"),
        ("LPUSH greeting x", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("HSET hash field value other 7", "2"),
        ("HGETALL hash", "field\nvalue\nother\n7"),
        ("SADD set a b c", "3"),
        ("ZADD sorted 2 two 1 one 10 ten", "3"),
        ("ZREVRANGE sorted 0 -1 WITHSCORES", "ten\n10\ntwo\n2\none\n1"),
        ("ZPOPMIN sorted", "one\n1"),
        ("ZRANK sorted ten", "1"),
        ("TYPE sorted", "zset"),
        ("KEYS gr*ing", "greeting"),
        ("PERSIST greeting", "1"),
        ("FLUSHALL", "OK"),
        ("DBSIZE", "0"),
        ("NONSENSE x", "ERR unknown command 'NONSENSE', with args beginning with: 'x'"),
        ("GET", "ERR wrong number of arguments for 'get' command"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let answered = cli(&program, &words);
        assert_eq!(answered.trim_end(), answer, "{command}");
    }
    let version_3 = cli(&program, &["-3", "--no-raw", "HELLO"]);
    assert!(version_3.contains("\"proto\" => (integer) 3"), "{version_3}");
    assert_eq!(program.end(), "");
}

#[test]
fn redis_benchmark_runs_its_default_set() {
    let _guard = hang_guard("redis-benchmark");
    if !has_tool("redis_benchmark_runs_its_default_set", "redis-benchmark", "redis-tools") {
        return;
    }
    let program = Program::start("kv", &["--workers", "2"]);
    for (pipeline, requests) in [("1", "500"), ("16", "2000")] {
        let mut command = Command::new("redis-benchmark");
        command.args(["-p", &program.port(), "-q", "-n", requests, "-P", pipeline, "-r", "100"]);
        let printed = run(&mut command).replace('\r', "\n");
        assert!(!printed.contains("WARNING"), "{printed}");
        for test in ["PING_INLINE", "SPOP", "ZPOPMIN", "LRANGE_600", "MSET (10 keys)"] {
            let done = |line: &str| line.starts_with(test) && line.contains("requests per second");
            assert!(printed.lines().any(done), "{test}: {printed}");
        }
    }
    assert_eq!(program.end(), "");
}
