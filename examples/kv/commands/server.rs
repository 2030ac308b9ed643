//! Commands about the server.

use std::fmt::Write;

use super::{Call, Outcome, glob};

/// The version of Redis whose replies these are.
pub(super) const VERSION: &str = "7.0.15";

/// What tools ask before they start. Nothing can be changed while the server runs.
///
/// A name without wildcards is replied as it was spelled.
pub(super) fn config_get(call: &mut Call<'_>) -> Outcome {
    let mut found: Vec<(&[u8], &str)> = Vec::new();
    for pattern in &call.args[2..] {
        let exact = !pattern.iter().any(|byte| b"*?[".contains(byte));
        let lower = pattern.to_ascii_lowercase();
        for (name, value) in CONFIG.iter().map(|(name, value)| (name.as_bytes(), *value)) {
            let fits = if exact { lower == name } else { glob::matches(&lower, name) };
            if fits && !found.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                found.push((if exact { pattern } else { name }, value));
            }
        }
    }
    call.reply.map(found.len());
    for (name, value) in found {
        call.reply.bulk(name);
        call.reply.bulk(value.as_bytes());
    }
    Ok(())
}

const CONFIG: &[(&str, &str)] =
    &[("appendonly", "no"), ("maxmemory", "0"), ("proto-max-bulk-len", "536870912"), ("save", "")];

/// The sections asked for; all without an argument.
pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    let wanted = |name: &str| {
        let is_wanted =
            |place| [name, "all", "default", "everything"].iter().any(|word| call.is(place, word));
        call.args.len() == 1 || (1..call.args.len()).any(is_wanted)
    };
    let mut text = String::new();
    for (name, lines) in sections(call) {
        if wanted(name) {
            let gap = if text.is_empty() { "" } else { "\r\n" };
            let _ = write!(text, "{gap}# {name}\r\n{lines}");
        }
    }
    call.reply.verbatim(&text);
    Ok(())
}

fn sections(call: &Call<'_>) -> [(&'static str, String); 5] {
    let (pid, uptime) = (std::process::id(), call.shared.started.elapsed().as_secs());
    let (connected, ever) = call.shared.clients();
    let server = format!(
        "redis_version:{VERSION}\r\nserver_name:heist-kv\r\nprocess_id:{pid}\r\n\
         uptime_in_seconds:{uptime}\r\n"
    );
    let keyspace = match call.held.len() {
        0 => String::new(),
        keys => format!("db0:keys={keys}\r\n"),
    };
    [
        ("Server", server),
        ("Clients", format!("connected_clients:{connected}\r\n")),
        ("Stats", format!("total_connections_received:{ever}\r\n")),
        ("Replication", "role:master\r\n".to_owned()),
        ("Keyspace", keyspace),
    ]
}
