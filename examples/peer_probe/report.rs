//! What was found out, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use crate::probe::{Report, Stage};
use crate::torrent::Torrent;

/// A line for each peer, and one for all.
pub(crate) fn table(torrent: &Torrent, reports: &[Report]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["peer", "client", "pieces", "connect", "handshake", "bitfield", "result"]);
    for report in reports {
        let [connected, greeted, known, unchoked] = report.reached.map(seconds);
        let result = match (&report.failure, report.pieces) {
            (Some(failure), _) => printable(failure),
            (None, Some(0)) => "no pieces".into(),
            (None, _) => format!("unchoked {unchoked}"),
        };
        table.add_row([
            report.address.to_string(),
            printable(report.client.as_deref().unwrap_or_default()),
            report.pieces.map_or_else(String::new, |have| format!("{have}/{}", torrent.pieces)),
            connected,
            greeted,
            known,
            result,
        ]);
    }
    for column in 2..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n{}: {}", printable(&torrent.name), summary(reports))
}

fn summary(reports: &[Report]) -> String {
    let count = |is: fn(&Report) -> bool| reports.iter().filter(|report| is(report)).count();
    let unchoked = count(|report| report.reached[Stage::Unchoked as usize].is_some());
    let unchoked = format!("{unchoked} of {} peers unchoked us", reports.len());
    match count(|report| report.failure.is_none() && report.pieces == Some(0)) {
        0 => unchoked,
        empty => format!("{unchoked}, {empty} had no pieces"),
    }
}

/// One JSON document, in ASCII: foreign text has its true characters when it is read again, and
/// none that a terminal acts on before.
pub(crate) fn json(torrent: &Torrent, reports: &[Report]) -> String {
    let hash: String = torrent.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let document = json!({
        "torrent": { "name": torrent.name, "info_hash": hash, "pieces": torrent.pieces },
        "peers": reports.iter().map(peer).collect::<Vec<_>>(),
    });
    let mut ascii = String::new();
    for character in format!("{document:#}").chars() {
        match character {
            '\n' | ' '..='~' => ascii.push(character),
            // Of a string, since all around them is ASCII. serde_json escapes what is below a space.
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(ascii, "\\u{unit:04x}");
            }),
        }
    }
    ascii
}

fn peer(report: &Report) -> Value {
    let [connected, greeted, known, unchoked] =
        report.reached.map(|time| time.map(|time| time.as_secs_f64()));
    json!({
        "peer": report.address.to_string(),
        "client": report.client,
        "pieces": report.pieces,
        "connected": connected,
        "handshake": greeted,
        "bitfield": known,
        "unchoked": unchoked,
        "error": report.failure,
    })
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |time| format!("{:.3} s", time.as_secs_f64()))
}

/// `text` from elsewhere as it may go to a terminal: control and format characters, such as line
/// feeds, escape sequences and changes of the writing direction, are escaped, and backslashes doubled.
pub(crate) fn printable(text: &str) -> String {
    // Quotes do no harm.
    text.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}
