//! The history as one page that needs nothing else.

use super::chart;
use super::records::Record;
use super::series::{Series, worse_now};
use crate::measure::write::{STYLE, escape};

pub(super) fn render(records: &[Record], all: &[Series]) -> String {
    let page = PAGE
        .replace("/*style*/", STYLE)
        .replace("<!--records-->", &records.iter().rev().map(record).collect::<String>())
        .replace("<!--worse-->", &worse(records, all));
    let rows = distinct(all.iter().map(|series| series.key.row.as_str()));
    let sections: String = rows.iter().map(|row| section(row, records, all)).collect();
    page.replace("<!--rows-->", &sections)
}

/// A record in a line of the table at the top.
fn record(record: &Record) -> String {
    let counts = VERDICTS.map(|(verdict, class)| {
        let count = record.lines.iter().filter(|line| line.verdict == verdict).count();
        let class = if count > 0 { class } else { "left" };
        format!("<td class=\"{class}\">{count}</td>")
    });
    let commit = record.commit.as_deref().unwrap_or("–");
    let about = [record.date.as_str(), commit, &record.scale];
    let about = about.map(|text| format!("<td>{}</td>", escape(text)));
    let machine = escape(&format!("{}, {}", record.machine, record.kernel));
    let (about, counts) = (about.concat(), counts.concat());
    format!("<tr>{about}{counts}<td class=\"left\">{machine}</td></tr>")
}

fn worse(records: &[Record], all: &[Series]) -> String {
    let items: String = worse_now(records, all)
        .map(|series| {
            let row = &series.key.row;
            format!("<li><a href=\"#{row}\">{}</a></li>", escape(&series.words()))
        })
        .collect();
    match items.is_empty() {
        true => "<p>Nothing is worse in the newest record than before.</p>".to_owned(),
        false => format!("<p>Worse in the newest record than before:</p><ul>{items}</ul>"),
    }
}

/// A row: its figures, and for each of them a chart a goal.
fn section(row: &str, records: &[Record], all: &[Series]) -> String {
    let of_row: Vec<&Series> = all.iter().filter(|series| series.key.row == row).collect();
    let figures = distinct(of_row.iter().map(|series| series.key.figure.as_str()));
    let parts: String = figures
        .iter()
        .map(|figure| {
            let charts: String = of_row
                .iter()
                .filter(|series| series.key.figure == *figure)
                .map(|series| draw(series, records))
                .collect();
            format!("<h3>{}</h3><div class=\"charts\">{charts}</div>", escape(figure))
        })
        .collect();
    format!("<section><h2 id=\"{row}\">{row}</h2>{parts}</section>\n")
}

fn draw(series: &Series, records: &[Record]) -> String {
    let caption = escape(&format!("{}: {}", series.key.case, series.goal_words()));
    let class = match series.points.last() {
        Some(point) if point.worse => " class=\"worse\"",
        _ => "",
    };
    let svg = chart::draw(series, records);
    format!("<figure{class}><figcaption>{caption}</figcaption>{svg}</figure>")
}

/// Each once, where it comes first.
fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

/// Verdicts and their classes.
const VERDICTS: [(&str, &str); 4] =
    [("met", "met"), ("unclear", "unclear"), ("not met", "not"), ("unknown", "unclear")];
const PAGE: &str = include_str!("page.html");
