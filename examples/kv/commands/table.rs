//! The table of commands. What is not in it is refused: other commands, other options, further
//! arguments.

use std::sync::LazyLock;

use ahash::AHashMap;

use super::Run::{Container, Immediate, Queued};
use super::expiry::{Unit, expire, seconds};
use super::lists::End::{Left, Right};
use super::{Command, Failure, Keys, Run, connection, expiry, hashes, keys, lists};
use super::{server, sets, sorted, strings, transactions};
use crate::store::{Hash, List, Set, Sorted, Text};

/// The command that `args` call, if their number fits.
pub(crate) fn find(args: &[&[u8]]) -> Result<&'static Command, Failure> {
    let command = lookup(&[args[0]]).filter(|command| !command.name.contains('|'));
    let command = command.ok_or_else(|| unknown(args))?;
    let command = match (command.run, args.get(1)) {
        (Container, Some(subcommand)) => lookup(&[args[0], b"|", subcommand]).ok_or_else(|| {
            let try_help = format!("'. Try {} HELP.", command.name.to_ascii_uppercase());
            Failure::quoting("ERR unknown subcommand '", short(subcommand), &try_help)
        })?,
        _ => command,
    };
    command.check_arity(args)?;
    Ok(command)
}

/// The command whose name consists of `parts`, in any case.
fn lookup(parts: &[&[u8]]) -> Option<&'static Command> {
    let (mut name, mut length) = ([0; LONGEST], 0);
    for part in parts {
        name.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    name.make_ascii_lowercase();
    BY_NAME.get(&name[..length]).copied()
}

/// Like Redis, quotes about 128 bytes of the name, and as many of the arguments.
fn unknown(args: &[&[u8]]) -> Failure {
    let mut quoted = Vec::new();
    for arg in &args[1..] {
        if quoted.len() < 128 {
            let Failure(arg) =
                Failure::quoting("'", &arg[..arg.len().min(128 - quoted.len())], "' ");
            quoted.extend_from_slice(&arg);
        }
    }
    let Failure(name) = Failure::quoting("ERR unknown command '", short(args[0]), "'");
    Failure([&*name, b", with args beginning with: ", &quoted].concat().into())
}

fn short(text: &[u8]) -> &[u8] {
    &text[..text.len().min(128)]
}

static BY_NAME: LazyLock<AHashMap<&'static [u8], &'static Command>> =
    LazyLock::new(|| TABLE.iter().map(|command| (command.name.as_bytes(), command)).collect());

/// At least the length of the longest name, which is `client|setname`.
const LONGEST: usize = 16;

const NONE: Keys = Keys::None;
const ALL: Keys = Keys::All;
const ONE: Keys = Keys::One;
const TWO: Keys = Keys::Two;
const EACH: Keys = Keys::Each { step: 1 };
const PAIRS: Keys = Keys::Each { step: 2 };

const fn row(
    name: &'static str,
    arity: i32,
    keys: Keys,
    run: Run,
    _syntax: &'static str,
) -> Command {
    Command { name, arity, keys, run, _syntax }
}

#[rustfmt::skip]
static TABLE: &[Command] = &[
    row("ping", -1, NONE, Queued(connection::ping), "[message]"),
    row("echo", 2, NONE, Queued(connection::echo), "message"),
    row("hello", -1, NONE, Queued(connection::hello), "[2 | 3 [AUTH user password] [SETNAME name]]"),
    row("client", -2, NONE, Container, ""),
    row("client|id", 2, NONE, Queued(connection::id), ""),
    row("client|info", 2, NONE, Queued(connection::info), ""),
    row("client|getname", 2, NONE, Queued(connection::get_name), ""),
    row("client|setname", 3, NONE, Queued(connection::set_name), "name"),
    row("quit", -1, NONE, Immediate(connection::quit), ""),
    row("reset", 1, NONE, Immediate(connection::reset), ""),
    row("multi", 1, NONE, Immediate(transactions::multi), ""),
    row("exec", 1, NONE, Immediate(transactions::exec), ""),
    row("discard", 1, NONE, Immediate(transactions::discard), ""),
    row("watch", -2, EACH, Immediate(transactions::watch), "key [key ...]"),
    row("unwatch", 1, NONE, Queued(transactions::unwatch), ""),
    row("info", -1, ALL, Queued(server::info), "[section ...]"),
    row("config", -2, NONE, Container, ""),
    row("config|get", -3, NONE, Queued(server::config_get), "pattern [pattern ...]"),
    row("dbsize", 1, ALL, Queued(keys::dbsize), ""),
    row("flushall", -1, ALL, Queued(keys::flush), "[ASYNC | SYNC]"),
    row("flushdb", -1, ALL, Queued(keys::flush), "[ASYNC | SYNC]"),
    row("keys", 2, ALL, Queued(keys::keys), "pattern"),
    row("randomkey", 1, ALL, Queued(keys::random_key), ""),
    row("del", -2, EACH, Queued(keys::del), "key [key ...]"),
    row("unlink", -2, EACH, Queued(keys::del), "key [key ...]"),
    row("exists", -2, EACH, Queued(keys::exists), "key [key ...]"),
    row("type", 2, ONE, Queued(keys::type_of), "key"),
    row("rename", 3, TWO, Queued(|call| keys::rename(call, false)), "key new"),
    row("renamenx", 3, TWO, Queued(|call| keys::rename(call, true)), "key new"),
    row("expire", -3, ONE, Queued(|call| expire(call, Unit::Seconds)),
        "key seconds [NX | XX] [GT | LT]"),
    row("pexpire", -3, ONE, Queued(|call| expire(call, Unit::Millis)),
        "key milliseconds [NX | XX] [GT | LT]"),
    row("expireat", -3, ONE, Queued(|call| expire(call, Unit::UnixSeconds)),
        "key unix-seconds [NX | XX] [GT | LT]"),
    row("pexpireat", -3, ONE, Queued(|call| expire(call, Unit::UnixMillis)),
        "key unix-milliseconds [NX | XX] [GT | LT]"),
    row("ttl", 2, ONE, Queued(|call| expiry::reply(call, |at, now| seconds(0.max(at - now)))),
        "key"),
    row("pttl", 2, ONE, Queued(|call| expiry::reply(call, |at, now| 0.max(at - now))), "key"),
    row("expiretime", 2, ONE, Queued(|call| expiry::reply(call, |at, _| seconds(at))), "key"),
    row("pexpiretime", 2, ONE, Queued(|call| expiry::reply(call, |at, _| at)), "key"),
    row("persist", 2, ONE, Queued(expiry::persist), "key"),
    row("get", 2, ONE, Queued(strings::get), "key"),
    row("set", -3, ONE, Queued(strings::set),
        "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-seconds | \
         PXAT unix-milliseconds | KEEPTTL]"),
    row("setnx", 3, ONE, Queued(strings::setnx), "key value"),
    row("strlen", 2, ONE, Queued(keys::length::<Text>), "key"),
    row("getrange", 4, ONE, Queued(strings::getrange), "key start end"),
    row("incr", 2, ONE, Queued(|call| strings::add(call, 1)), "key"),
    row("decr", 2, ONE, Queued(|call| strings::add(call, -1)), "key"),
    row("incrby", 3, ONE, Queued(|call| strings::add(call, call.integer(2)?)), "key increment"),
    row("decrby", 3, ONE, Queued(strings::decrby), "key decrement"),
    row("incrbyfloat", 3, ONE, Queued(strings::incrbyfloat), "key increment"),
    row("mget", -2, EACH, Queued(strings::mget), "key [key ...]"),
    row("mset", -3, PAIRS, Queued(|call| strings::mset(call, false)), "key value [key value ...]"),
    row("msetnx", -3, PAIRS, Queued(|call| strings::mset(call, true)), "key value [key value ...]"),
    row("hset", -4, ONE, Queued(hashes::hset), "key field value [field value ...]"),
    row("hget", 3, ONE, Queued(hashes::hget), "key field"),
    row("hgetall", 2, ONE, Queued(hashes::hgetall), "key"),
    row("hlen", 2, ONE, Queued(keys::length::<Hash>), "key"),
    row("hdel", -3, ONE, Queued(|call| keys::remove(call, hashes::remove)), "key field [field ...]"),
    row("lpush", -3, ONE, Queued(|call| lists::push(call, Left)), "key element [element ...]"),
    row("rpush", -3, ONE, Queued(|call| lists::push(call, Right)), "key element [element ...]"),
    row("lpop", -2, ONE, Queued(|call| lists::pop(call, Left)), "key [count]"),
    row("rpop", -2, ONE, Queued(|call| lists::pop(call, Right)), "key [count]"),
    row("llen", 2, ONE, Queued(keys::length::<List>), "key"),
    row("lrange", 4, ONE, Queued(lists::lrange), "key start stop"),
    row("sadd", -3, ONE, Queued(sets::sadd), "key member [member ...]"),
    row("srem", -3, ONE, Queued(|call| keys::remove::<Set>(call, |set, member| set.swap_remove(member))), "key member [member ...]"),
    row("spop", -2, ONE, Queued(sets::spop), "key [count]"),
    row("scard", 2, ONE, Queued(keys::length::<Set>), "key"),
    row("smembers", 2, ONE, Queued(sets::smembers), "key"),
    row("zadd", -4, ONE, Queued(|call| sorted::add(call, false)),
        "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]"),
    row("zincrby", 4, ONE, Queued(|call| sorted::add(call, true)), "key increment member"),
    row("zrem", -3, ONE, Queued(|call| keys::remove(call, Sorted::remove)), "key member [member ...]"),
    row("zscore", 3, ONE, Queued(sorted::zscore), "key member"),
    row("zcard", 2, ONE, Queued(keys::length::<Sorted>), "key"),
    row("zrank", 3, ONE, Queued(|call| sorted::rank(call, false)), "key member"),
    row("zrevrank", 3, ONE, Queued(|call| sorted::rank(call, true)), "key member"),
    row("zrevrange", -4, ONE, Queued(sorted::zrevrange), "key start stop [WITHSCORES]"),
    row("zpopmin", -2, ONE, Queued(|call| sorted::pop(call, false)), "key [count]"),
    row("zpopmax", -2, ONE, Queued(|call| sorted::pop(call, true)), "key [count]"),
];
