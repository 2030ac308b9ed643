//! Saying what was found: a table, a file for programs, a page for people.

mod chart;
mod json;
mod page;
mod pictures;
pub(crate) mod table;

use std::path::PathBuf;

use crate::history;
use crate::measure::bench::{Bench, root, target};
use crate::measure::figures::Fault;
use crate::measure::rounds::Outcome;
use crate::measure::write::save;
use crate::options::Options;

/// Writes the file and the page, reads the file back, and prints their paths.
pub(crate) fn write(bench: &Bench, options: &Options, outcomes: &[Outcome]) -> Result<(), Fault> {
    let board = json::board(bench, options, outcomes);
    let text = format!("{board:#}\n");
    json::check(&text, outcomes)?;
    let file = bench.folder.join("scoreboard.json");
    save(&file, &text)?;
    let page = bench.folder.join("scoreboard.html");
    save(&page, &page::render(bench, options, outcomes)?)?;
    println!("\n{}\n{}", file.display(), page.display());
    if options.records() {
        let (folder, date) = (records(), &bench.machine.date);
        save(&folder.join(format!("{date}-scoreboard.json")), &text)?;
        pictures::save_all(&folder, date, outcomes)?;
        write_history()?;
    }
    Ok(())
}

/// Writes the page that shows how the goals went from record to record, and prints what has become worse.
pub(crate) fn write_history() -> Result<(), Fault> {
    let page = target().join("scoreboard/history.html");
    let worse = history::write(&records(), &page)?;
    if !worse.is_empty() {
        println!("\nworse in the newest record than before:\n{}", worse.join("\n"));
    }
    println!("{}", page.display());
    Ok(())
}

fn records() -> PathBuf {
    root().join("benches/record")
}
