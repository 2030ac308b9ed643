//! The page that shows how the goals went, on records that are made up.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::history;
use crate::measure::bench::root;

/// Failure: a figure gets worse from one record to the next, and the page does not show it.
#[test]
fn figure_that_got_worse_is_marked_and_listed() {
    let records = tempfile::tempdir().unwrap();
    record(&records, "2026-01-01", "a", &[line("≤ 1 × tokio", 0.7), line("≤ 0.9 × epoll", 0.8)]);
    record(&records, "2026-01-02", "a", &[line("≤ 1 × tokio", 0.9), line("≤ 0.9 × epoll", 0.81)]);
    let (worse, page) = history_of(&records);
    assert_eq!(worse, ["cpu, one (a): cpu_us of heist ≤ 1 × tokio: 0.700 → 0.900"]);
    assert_eq!(page.matches("<svg").count(), 2, "a chart for each goal");
    assert_eq!(page.matches("<circle class=\"worse\"").count(), 1);
    assert!(page.contains("<li><a href=\"#cpu\">cpu, one (a): cpu_us of heist ≤ 1 × tokio"));
}

/// Failure: a difference that the machine makes by itself is shown as one that a change has made.
#[test]
fn difference_within_the_scatter_is_not_marked() {
    let records = tempfile::tempdir().unwrap();
    // Two measurements of one thing are up to 2 % apart, and the quartiles 1 %.
    record(&records, "2026-01-01", "a", &[line("≤ 1 × tokio", 0.800)]);
    record(&records, "2026-01-02", "a", &[line("≤ 1 × tokio", 0.814)]);
    assert_eq!(history_of(&records).0, [""; 0]);
    record(&records, "2026-01-03", "a", &[line("≤ 1 × tokio", 0.850)]);
    assert_eq!(history_of(&records).0.len(), 1);
    record(&records, "2026-01-04", "a", &[line("≤ 1 × tokio", 0.850)]);
    let (worse, page) = history_of(&records);
    assert_eq!(worse, [""; 0], "the newest is as the one before");
    assert_eq!(page.matches("<circle class=\"worse\"").count(), 1, "the mark stays");
}

#[test]
fn goal_of_at_least_gets_worse_downwards() {
    let records = tempfile::tempdir().unwrap();
    record(&records, "2026-01-01", "a", &[line("≥ 2 × nginx", 2.0), line("≥ 1 × tokio", 1.5)]);
    record(&records, "2026-01-02", "a", &[line("≥ 2 × nginx", 1.7), line("≥ 1 × tokio", 1.9)]);
    let (worse, _) = history_of(&records);
    assert_eq!(worse, ["cpu, one (a): cpu_us of heist ≥ 2 × nginx: 2.00 → 1.70"]);
}

#[test]
fn goal_that_is_tightened_makes_no_figure_worse() {
    let records = tempfile::tempdir().unwrap();
    record(&records, "2026-01-01", "a", &[line("≤ 1 × tokio", 0.7), line("≤ 60", 0.5)]);
    // The ratio to a bound of half the size is twice as large.
    let bounded = Line { value: 30.0, ..line("≤ 30", 1.0) };
    record(&records, "2026-01-02", "a", &[line("≤ 0.6 × tokio", 0.7), bounded]);
    let (worse, page) = history_of(&records);
    assert_eq!(worse, [""; 0]);
    assert_eq!(page.matches("<svg").count(), 2, "it is the same goal as before");
}

#[test]
fn goal_of_nothing_at_all_is_charted_by_its_figure() {
    let records = tempfile::tempdir().unwrap();
    let nothing = |value| Line { value, ratio: None, ..line("≤ 0", 0.0) };
    record(&records, "2026-01-01", "a", &[nothing(0.0)]);
    record(&records, "2026-01-02", "a", &[nothing(3.0)]);
    let (worse, page) = history_of(&records);
    assert_eq!(worse, ["cpu, one (a): cpu_us of heist ≤ 0: 0 → 3.00"]);
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

/// Failure: another machine is taken for a change of the program.
#[test]
fn records_of_other_machines_are_not_compared() {
    let records = tempfile::tempdir().unwrap();
    record(&records, "2026-01-01", "a", &[line("≤ 1 × tokio", 0.7)]);
    record(&records, "2026-01-02", "b", &[line("≤ 1 × tokio", 0.9)]);
    assert_eq!(history_of(&records).0, [""; 0]);
    record(&records, "2026-01-03", "a", &[line("≤ 1 × tokio", 0.9)]);
    assert_eq!(history_of(&records).0.len(), 1);
}

/// Failure: three short rounds are taken for a change of the program.
#[test]
fn quick_records_and_full_ones_are_not_compared() {
    let records = tempfile::tempdir().unwrap();
    let [fast, slow] = [0.7, 0.9].map(|ratio| [line("≤ 1 × tokio", ratio)]);
    record(&records, "2026-01-01", "a", &fast);
    record_at(&records, "2026-01-02", "quick", "a", &slow);
    assert_eq!(history_of(&records).0, [""; 0]);
    record(&records, "2026-01-03", "a", &slow);
    assert_eq!(history_of(&records).0.len(), 1);
}

#[test]
fn goal_that_is_new_or_gone_has_a_chart_too() {
    let records = tempfile::tempdir().unwrap();
    record(&records, "2026-01-01", "a", &[line("≤ 1 × tokio", 0.7)]);
    record(&records, "2026-01-02", "a", &[line("≤ 1 × epoll", 0.7)]);
    let (worse, page) = history_of(&records);
    assert_eq!((worse.len(), page.matches("<svg").count()), (0, 2));
}

/// Failure: the page loads something from elsewhere, or text from a record is taken for markup.
#[test]
fn page_needs_nothing_else_and_escapes_what_it_shows() {
    let records = tempfile::tempdir().unwrap();
    let odd = Line { case: "<b>&", ..line("≤ 1 × tokio", 0.7) };
    record(&records, "2026-01-01", "<i>", &[odd]);
    let (_, page) = history_of(&records);
    assert!(!page.contains("<b>") && !page.contains("<i>") && page.contains("&lt;b&gt;&amp;"));
    for reference in ["src=", "url(", "@import", "://", "<link", "<script"] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn record_that_cannot_be_read_is_named() {
    let records = tempfile::tempdir().unwrap();
    let fault = |records: &TempDir| {
        history::write(records.path(), &records.path().join("page")).unwrap_err().to_string()
    };
    assert!(fault(&records).contains("no record"), "{}", fault(&records));
    record(&records, "2026-01-01", "a", &[line("about 1 × tokio", 0.7)]);
    assert!(
        fault(&records).contains("2026-01-01-scoreboard.json: the goal"),
        "{}",
        fault(&records)
    );
    fs::write(records.path().join("2026-01-01-scoreboard.json"), "{").unwrap();
    assert!(fault(&records).contains("2026-01-01-scoreboard.json"), "{}", fault(&records));
}

#[test]
fn records_of_this_project_are_read() {
    let page = tempfile::tempdir().unwrap();
    let page = page.path().join("history.html");
    history::write(&root().join("benches/record"), &page).unwrap();
    assert!(fs::read_to_string(page).unwrap().contains("<svg"));
}

#[derive(Clone)]
struct Line {
    case: &'static str,
    goal: &'static str,
    value: f64,
    ratio: Option<f64>,
}

/// Ten times as much as the ratio is the figure.
fn line(goal: &'static str, ratio: f64) -> Line {
    Line { case: "one (a)", goal, value: ratio * 10.0, ratio: Some(ratio) }
}

fn record(folder: &TempDir, date: &str, machine: &str, lines: &[Line]) {
    record_at(folder, date, "full", machine, lines);
}

fn record_at(folder: &TempDir, date: &str, scale: &str, machine: &str, lines: &[Line]) {
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "row": "cpu",
                "case": line.case,
                "figure": "cpu_us",
                "subject": "heist",
                "goal": line.goal,
                "value": line.value,
                "ratio": line.ratio,
                "quartiles": line.ratio.map(|ratio| [ratio * 0.99, ratio * 1.01]),
                "twins": { "ratio": 1.0, "quartiles": [0.98, 1.01] },
                "verdict": "unclear",
            })
        })
        .collect();
    let board = json!({
        "date": date, "machine": machine, "kernel": "6.1", "scale": scale, "rows": rows,
    });
    let file = folder.path().join(format!("{date}-scoreboard.json"));
    fs::write(file, board.to_string()).unwrap();
}

/// What is worse now, and the page.
fn history_of(records: &TempDir) -> (Vec<String>, String) {
    let page: &Path = &records.path().join("history.html");
    let worse = history::write(records.path(), page).unwrap();
    (worse, fs::read_to_string(page).unwrap())
}
