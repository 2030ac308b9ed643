//! Commands about the connection.

use heist::protocol::Context;

use super::{Call, Failure, Outcome, before_nul};
use crate::resp::number;
use crate::session::Session;

pub(super) fn ping(call: &mut Call<'_>) -> Outcome {
    match call.args {
        [_] => call.reply.simple("PONG"),
        [_, message] => call.reply.bulk(message),
        _ => return Err(call.command.wrong_arity()),
    }
    Ok(())
}

pub(super) fn echo(call: &mut Call<'_>) -> Outcome {
    call.reply.bulk(call.args[1]);
    Ok(())
}

/// Describes the server, and chooses the version of the protocol.
pub(super) fn hello(call: &mut Call<'_>) -> Outcome {
    let version_3 = match call.args.get(1).map(|text| number(text)) {
        None => call.client.version_3,
        Some(Some(version @ 2..=3)) => version == 3,
        Some(Some(_)) => return Err(Failure::new("NOPROTO unsupported protocol version")),
        Some(None) => {
            return Err(Failure::new("ERR Protocol version is not an integer or out of range"));
        }
    };
    let mut options = call.args.get(2..).unwrap_or_default();
    while let [option, rest @ ..] = options {
        let option = before_nul(option);
        match rest {
            [name, rest @ ..] if option.eq_ignore_ascii_case(b"SETNAME") => {
                rename(call, name)?;
                options = rest;
            }
            // The user `default` has no password, so any will do; there is no other.
            [b"default", _, rest @ ..] if option.eq_ignore_ascii_case(b"AUTH") => options = rest,
            [_, _, ..] if option.eq_ignore_ascii_case(b"AUTH") => return Err(WRONG_PASSWORD),
            _ => return Err(Failure::quoting("ERR Syntax error in HELLO option '", option, "'")),
        }
    }
    call.client.version_3 = version_3;
    call.reply.version_3 = version_3;
    call.reply.map(7);
    call.reply.pairs(&[("server", "redis"), ("version", super::server::VERSION)]);
    call.reply.bulk(b"proto");
    call.reply.integer(if version_3 { 3 } else { 2 });
    call.reply.bulk(b"id");
    call.reply.integer(call.client.id);
    call.reply.pairs(&[("mode", "standalone"), ("role", "master")]);
    call.reply.bulk(b"modules");
    call.reply.array(0);
    Ok(())
}

pub(super) fn id(call: &mut Call<'_>) -> Outcome {
    call.reply.integer(call.client.id);
    Ok(())
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    let client = &call.client;
    let (id, peer, name) = (client.id, &client.peer, &client.name);
    let version = if client.version_3 { 3 } else { 2 };
    call.reply.verbatim(&format!("id={id} addr={peer} name={name} resp={version}\n"));
    Ok(())
}

pub(super) fn get_name(call: &mut Call<'_>) -> Outcome {
    let name = &call.client.name;
    call.reply.bulk_or_null((!name.is_empty()).then_some(name.as_bytes()));
    Ok(())
}

pub(super) fn set_name(call: &mut Call<'_>) -> Outcome {
    rename(call, call.args[2])?;
    call.reply.ok();
    Ok(())
}

fn rename(call: &mut Call<'_>, name: &[u8]) -> Outcome {
    let visible = name.iter().all(u8::is_ascii_graphic);
    let name = std::str::from_utf8(name).ok().filter(|_| visible).ok_or(Failure::new(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))?;
    name.clone_into(&mut call.client.name);
    Ok(())
}

pub(super) fn quit(session: &mut Session, _: &[&[u8]], cx: &mut Context<'_>) -> Outcome {
    session.reply(cx).ok();
    cx.close();
    Ok(())
}

pub(super) fn reset(session: &mut Session, _: &[&[u8]], cx: &mut Context<'_>) -> Outcome {
    session.transaction = None;
    session.client.watch.clear(&session.shared);
    session.client.version_3 = false;
    session.client.name.clear();
    session.reply(cx).simple("RESET");
    Ok(())
}

const WRONG_PASSWORD: Failure =
    Failure::new("WRONGPASS invalid username-password pair or user is disabled.");
