//! Commands about the connection.

use heist::protocol::Context;

use super::number::integer;
use super::{Failure, quote};
use crate::session::Session;

/// `HELLO [version [SETNAME name]]`: says who serves, and chooses the version of the protocol.
pub(crate) fn hello(
    session: &mut Session,
    args: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    let version_3 = match args.get(1) {
        None => session.version_3,
        Some(&b"2") => false,
        Some(&b"3") => true,
        Some(_) => return Err(Failure::Version),
    };
    match args.get(2..).unwrap_or_default() {
        [] => {}
        [option, name] if option.eq_ignore_ascii_case(b"SETNAME") => set_name(session, name)?,
        [option, ..] if option.eq_ignore_ascii_case(b"AUTH") => return Err(NO_PASSWORD),
        _ => return Err(Failure::Syntax),
    }
    session.version_3 = version_3;
    let id = session.client().id as i64;
    let mut reply = session.reply(cx);
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", "7.0.0")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(if version_3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(id);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

pub(crate) fn client(
    session: &mut Session,
    args: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    match (&args[1].to_ascii_uppercase()[..], &args[2..]) {
        (b"ID", []) => {
            let id = session.client().id as i64;
            session.reply(cx).integer(id);
        }
        (b"GETNAME", []) => {
            let name = session.client().name.lock().clone();
            session.reply(cx).bulk(name.as_bytes());
        }
        (b"SETNAME", [name]) => {
            set_name(session, name)?;
            session.reply(cx).ok();
        }
        (b"SETINFO", [_, _]) => session.reply(cx).ok(),
        (b"INFO", []) => {
            let line = session.client().describe();
            session.reply(cx).verbatim(&line);
        }
        (b"LIST", []) => {
            let list = session.shared().clients.list();
            session.reply(cx).verbatim(&list);
        }
        (b"KILL", [by, id]) if by.eq_ignore_ascii_case(b"ID") => {
            let id = integer(id)? as u64;
            if id == session.client().id {
                // It gets the reply before.
                session.reply(cx).integer(1);
                cx.close();
            } else {
                let killed = session.shared().clients.kill(id);
                session.reply(cx).integer(i64::from(killed));
            }
        }
        _ => return Err(Failure::UnknownSub(quote(args[1]))),
    }
    Ok(())
}

fn set_name(session: &mut Session, name: &[u8]) -> Result<(), Failure> {
    let text = std::str::from_utf8(name).ok();
    let fits = |text: &&str| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
    let Some(text) = text.filter(fits) else {
        return Err(Failure::Other("ERR a name has up to 64 visible ASCII characters"));
    };
    text.clone_into(&mut session.client().name.lock());
    Ok(())
}

pub(crate) fn quit(
    session: &mut Session,
    _: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    session.reply(cx).ok();
    cx.close();
    Ok(())
}

pub(crate) fn reset(
    session: &mut Session,
    _: &[&[u8]],
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    session.reset();
    session.reply(cx).simple("RESET");
    Ok(())
}

const NO_PASSWORD: Failure = Failure::Other("ERR AUTH called without any password configured");
