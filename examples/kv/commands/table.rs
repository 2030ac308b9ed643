//! The table of commands.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{
    Command, DataRun, Failure, Keys, Run, SessionRun, connection, hashes, info, keys, lists, quote,
};
use super::{scan, sets, sorted, strings, transactions};

/// The command called `name`, in whatever case.
pub(crate) fn find(name: &[u8]) -> Result<&'static Command, Failure> {
    let mut upper = [0; LONGEST];
    let found = upper.get_mut(..name.len()).and_then(|upper| {
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        BY_NAME.get(&*upper).copied()
    });
    found.ok_or_else(|| Failure::Unknown(quote(name)))
}

/// All commands there are.
pub(crate) fn all() -> &'static [Command] {
    TABLE
}

static BY_NAME: LazyLock<HashMap<&'static [u8], &'static Command>> =
    LazyLock::new(|| TABLE.iter().map(|command| (command.name.as_bytes(), command)).collect());

/// The length of the longest name.
const LONGEST: usize = 16;

const NONE: Keys = Keys::None;
const ALL: Keys = Keys::All;
const ONE: Keys = Keys::At { first: 1, last: 1, step: 1 };
const TWO: Keys = Keys::At { first: 1, last: 2, step: 1 };
const EACH: Keys = Keys::At { first: 1, last: -1, step: 1 };
const PAIRS: Keys = Keys::At { first: 1, last: -1, step: 2 };

const fn data(name: &'static str, arity: i32, keys: Keys, run: DataRun) -> Command {
    Command { name, arity, keys, run: Run::Data(run) }
}

const fn session(name: &'static str, arity: i32, run: SessionRun) -> Command {
    Command { name, arity, keys: NONE, run: Run::Session(run) }
}

static TABLE: &[Command] = &[
    data("PING", -1, NONE, info::ping),
    data("ECHO", 2, NONE, info::echo),
    data("TIME", 1, NONE, info::time),
    data("COMMAND", -1, NONE, info::command),
    data("CONFIG", -2, NONE, info::config),
    data("SELECT", 2, NONE, info::select),
    session("INFO", -1, info::info),
    session("CLIENT", -2, connection::client),
    session("HELLO", -1, connection::hello),
    session("QUIT", -1, connection::quit),
    session("RESET", 1, connection::reset),
    session("MULTI", 1, transactions::multi),
    session("EXEC", 1, transactions::exec),
    session("DISCARD", 1, transactions::discard),
    session("WATCH", -2, transactions::watch),
    session("UNWATCH", 1, transactions::unwatch),
    data("DBSIZE", 1, ALL, keys::dbsize),
    data("FLUSHALL", -1, ALL, keys::flush),
    data("FLUSHDB", -1, ALL, keys::flush),
    data("KEYS", 2, ALL, keys::keys),
    data("RANDOMKEY", 1, ALL, keys::random_key),
    data("SCAN", -2, ALL, scan::scan),
    data("DEL", -2, EACH, keys::del),
    data("UNLINK", -2, EACH, keys::del),
    data("EXISTS", -2, EACH, keys::exists),
    data("TOUCH", -2, EACH, keys::exists),
    data("TYPE", 2, ONE, keys::type_of),
    data("RENAME", 3, TWO, keys::rename),
    data("RENAMENX", 3, TWO, keys::renamenx),
    data("EXPIRE", -3, ONE, keys::expire),
    data("PEXPIRE", -3, ONE, keys::pexpire),
    data("EXPIREAT", -3, ONE, keys::expireat),
    data("PEXPIREAT", -3, ONE, keys::pexpireat),
    data("TTL", 2, ONE, keys::ttl),
    data("PTTL", 2, ONE, keys::pttl),
    data("PERSIST", 2, ONE, keys::persist),
    data("GET", 2, ONE, strings::get),
    data("SET", -3, ONE, strings::set),
    data("SETNX", 3, ONE, strings::setnx),
    data("SETEX", 4, ONE, strings::setex),
    data("PSETEX", 4, ONE, strings::psetex),
    data("GETSET", 3, ONE, strings::getset),
    data("GETDEL", 2, ONE, strings::getdel),
    data("APPEND", 3, ONE, strings::append),
    data("STRLEN", 2, ONE, strings::strlen),
    data("GETRANGE", 4, ONE, strings::getrange),
    data("SETRANGE", 4, ONE, strings::setrange),
    data("INCR", 2, ONE, strings::incr),
    data("DECR", 2, ONE, strings::decr),
    data("INCRBY", 3, ONE, strings::incrby),
    data("DECRBY", 3, ONE, strings::decrby),
    data("INCRBYFLOAT", 3, ONE, strings::incrbyfloat),
    data("MGET", -2, EACH, strings::mget),
    data("MSET", -3, PAIRS, strings::mset),
    data("MSETNX", -3, PAIRS, strings::msetnx),
    data("HSET", -4, ONE, hashes::hset),
    data("HMSET", -4, ONE, hashes::hmset),
    data("HSETNX", 4, ONE, hashes::hsetnx),
    data("HGET", 3, ONE, hashes::hget),
    data("HMGET", -3, ONE, hashes::hmget),
    data("HGETALL", 2, ONE, hashes::hgetall),
    data("HKEYS", 2, ONE, hashes::hkeys),
    data("HVALS", 2, ONE, hashes::hvals),
    data("HLEN", 2, ONE, hashes::hlen),
    data("HEXISTS", 3, ONE, hashes::hexists),
    data("HDEL", -3, ONE, hashes::hdel),
    data("HINCRBY", 4, ONE, hashes::hincrby),
    data("HSCAN", -3, ONE, scan::hscan),
    data("LPUSH", -3, ONE, lists::lpush),
    data("RPUSH", -3, ONE, lists::rpush),
    data("LPUSHX", -3, ONE, lists::lpushx),
    data("RPUSHX", -3, ONE, lists::rpushx),
    data("LPOP", -2, ONE, lists::lpop),
    data("RPOP", -2, ONE, lists::rpop),
    data("LLEN", 2, ONE, lists::llen),
    data("LRANGE", 4, ONE, lists::lrange),
    data("LINDEX", 3, ONE, lists::lindex),
    data("LSET", 4, ONE, lists::lset),
    data("LREM", 4, ONE, lists::lrem),
    data("LTRIM", 4, ONE, lists::ltrim),
    data("RPOPLPUSH", 3, TWO, lists::rpoplpush),
    data("LMOVE", 5, TWO, lists::lmove),
    data("SADD", -3, ONE, sets::sadd),
    data("SREM", -3, ONE, sets::srem),
    data("SISMEMBER", 3, ONE, sets::sismember),
    data("SCARD", 2, ONE, sets::scard),
    data("SMEMBERS", 2, ONE, sets::smembers),
    data("SPOP", -2, ONE, sets::spop),
    data("SRANDMEMBER", 2, ONE, sets::srandmember),
    data("SINTER", -2, EACH, sets::sinter),
    data("SUNION", -2, EACH, sets::sunion),
    data("SDIFF", -2, EACH, sets::sdiff),
    data("SSCAN", -3, ONE, scan::sscan),
    data("ZADD", -4, ONE, sorted::zadd),
    data("ZINCRBY", 4, ONE, sorted::zincrby),
    data("ZREM", -3, ONE, sorted::zrem),
    data("ZSCORE", 3, ONE, sorted::zscore),
    data("ZCARD", 2, ONE, sorted::zcard),
    data("ZRANK", 3, ONE, sorted::zrank),
    data("ZRANGE", -4, ONE, sorted::zrange),
    data("ZREVRANGE", -4, ONE, sorted::zrevrange),
    data("ZPOPMIN", -2, ONE, sorted::zpopmin),
    data("ZPOPMAX", -2, ONE, sorted::zpopmax),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_only_whole() {
        for command in TABLE {
            assert_eq!(find(command.name.as_bytes()).unwrap().name, command.name);
            assert_eq!(find(command.name.to_lowercase().as_bytes()).unwrap().name, command.name);
        }
        for name in ["", "GE", "GETT", "A VERY LONG NAME THAT NO COMMAND HAS"] {
            assert!(find(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn commands_with_keys_have_at_least_one() {
        for command in TABLE.iter().filter(|command| matches!(command.keys, Keys::At { .. })) {
            let args = vec![&b"x"[..]; command.arity.unsigned_abs() as usize];
            assert!(command.keys_of(&args).count() > 0, "{}", command.name);
        }
    }
}
