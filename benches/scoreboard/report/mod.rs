//! Saying what was found: a table, a file for programs, a page for people.

mod chart;
mod json;
mod page;
mod pictures;
pub(crate) mod table;

use crate::measure::bench::{Bench, root};
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
        let (folder, date) = (root().join("benches/record"), &bench.machine.date);
        save(&folder.join(format!("{date}-scoreboard.json")), &text)?;
        pictures::save_all(&folder, date, outcomes)?;
    }
    Ok(())
}
