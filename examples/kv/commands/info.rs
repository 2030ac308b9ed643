//! Commands about the server.

use heist::protocol::Context;

use super::{Command, Failure, Keys, table};
use crate::resp::Reply;
use crate::session::Session;
use crate::store::Held;

pub(crate) fn ping(args: &[&[u8]], _: &mut Held<'_>, reply: &mut Reply<'_>) -> Result<(), Failure> {
    match args {
        [_] => reply.simple("PONG"),
        [_, text] => reply.bulk(text),
        _ => return Err(Failure::Arity("PING".to_owned())),
    }
    Ok(())
}

pub(crate) fn echo(args: &[&[u8]], _: &mut Held<'_>, reply: &mut Reply<'_>) -> Result<(), Failure> {
    reply.bulk(args[1]);
    Ok(())
}

pub(crate) fn time(_: &[&[u8]], held: &mut Held<'_>, reply: &mut Reply<'_>) -> Result<(), Failure> {
    let millis = held.unix_millis(held.now());
    reply.array(2);
    reply.bulk((millis / 1000).to_string().as_bytes());
    reply.bulk((millis % 1000 * 1000).to_string().as_bytes());
    Ok(())
}

/// There is one database, as in a Redis cluster.
pub(crate) fn select(
    args: &[&[u8]],
    _: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    if args[1] != b"0" {
        return Err(Failure::Other("ERR DB index is out of range: there is only database 0"));
    }
    reply.ok();
    Ok(())
}

/// The table itself, for clients that look for keys in commands they do not know. The documentation
/// that redis-cli asks for is empty: it has its own.
pub(crate) fn command(
    args: &[&[u8]],
    _: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let subcommand = args.get(1).map(|name| name.to_ascii_uppercase());
    match subcommand.as_deref() {
        None => {
            reply.array(table::all().len());
            table::all().iter().for_each(|command| describe(command, reply));
        }
        Some(b"COUNT") => reply.count(table::all().len()),
        Some(b"DOCS") => reply.map(0),
        Some(b"INFO") => {
            reply.array(args.len() - 2);
            for name in &args[2..] {
                match table::find(name) {
                    Ok(command) => describe(command, reply),
                    Err(_) => reply.null_array(),
                }
            }
        }
        Some(_) => return Err(Failure::UnknownSub(super::quote(args[1]))),
    }
    Ok(())
}

fn describe(command: &Command, reply: &mut Reply<'_>) {
    let (first, last, step) = match command.keys {
        Keys::At { first, last, step } => (first as i64, i64::from(last), step as i64),
        Keys::None | Keys::All => (0, 0, 0),
    };
    reply.array(6);
    reply.bulk(command.name.to_ascii_lowercase().as_bytes());
    reply.integer(i64::from(command.arity));
    reply.array(0);
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
}

/// What tools ask before they start. Nothing can be changed while the server runs.
pub(crate) fn config(
    args: &[&[u8]],
    _: &mut Held<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    match &args[1].to_ascii_uppercase()[..] {
        b"GET" => {
            let wanted =
                |name: &str| args[2..].iter().any(|arg| super::scan::glob(arg, name.as_bytes()));
            let found: Vec<_> = CONFIG.iter().filter(|(name, _)| wanted(name)).collect();
            reply.map(found.len());
            for (name, value) in found {
                reply.bulk(name.as_bytes());
                reply.bulk(value.as_bytes());
            }
        }
        b"RESETSTAT" => reply.ok(),
        _ => return Err(Failure::Other("ERR CONFIG can only GET: options are given at start")),
    }
    Ok(())
}

const CONFIG: &[(&str, &str)] = &[
    ("appendonly", "no"),
    ("databases", "1"),
    ("maxmemory", "0"),
    ("proto-max-bulk-len", "8388608"),
    ("save", ""),
];

pub(crate) fn info(
    session: &mut Session,
    _: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    let shared = session.shared();
    let uptime = (cx.now() - shared.started).as_secs();
    let text = format!(
        "# Server\r\nredis_version:7.0.0\r\nserver_name:heist-kv\r\nprocess_id:{}\r\n\
         uptime_in_seconds:{uptime}\r\n\r\n\
         # Clients\r\nconnected_clients:{}\r\n\r\n\
         # Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n\r\n\
         # Replication\r\nrole:master\r\n\r\n\
         # Keyspace\r\ndb0:keys={}\r\n",
        std::process::id(),
        shared.clients.count(),
        shared.clients.ever(),
        shared.clients.commands(),
        shared.store.hold_all(cx.now()).len(),
    );
    session.reply(cx).verbatim(&text);
    Ok(())
}
