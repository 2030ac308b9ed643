//! What was found out, for people and for programs.

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
            (Some(failure), _) => failure.clone(),
            (None, Some(0)) => "no pieces".into(),
            (None, _) => format!("unchoked {unchoked}"),
        };
        table.add_row([
            report.address.to_string(),
            report.client.clone().unwrap_or_default(),
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
    format!("{table}\n{}: {}", torrent.name, summary(reports))
}

fn summary(reports: &[Report]) -> String {
    let count = |is: fn(&Report) -> bool| reports.iter().filter(|report| is(report)).count();
    let unchoked = count(|report| report.reached[Stage::Unchoked as usize].is_some());
    let unchoked = format!("{unchoked} of {} peers unchoked us", reports.len());
    match count(|report| report.pieces == Some(0)) {
        0 => unchoked,
        empty => format!("{unchoked}, {empty} had no pieces"),
    }
}

pub(crate) fn json(torrent: &Torrent, reports: &[Report]) -> Value {
    let hash: String = torrent.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "torrent": { "name": torrent.name, "info_hash": hash, "pieces": torrent.pieces },
        "peers": reports.iter().map(peer).collect::<Vec<_>>(),
    })
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
