//! Saying what was found: a table, a file for programs, a page for people.

mod chart;
mod json;
mod page;
pub(crate) mod progress;
pub(crate) mod table;

use std::path::Path;

use crate::bench::{Bench, root};
use crate::figures::Fault;
use crate::options::Options;
use crate::rounds::Outcome;

/// Writes the file and the page, reads the file back, and says where they are.
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
        let name = format!("{}-scoreboard.json", bench.machine.date);
        save(&root().join("benches/record").join(name), &text)?;
    }
    Ok(())
}

fn save(path: &Path, text: &str) -> Result<(), Fault> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = made.and_then(|()| std::fs::write(path, text));
    written.map_err(Fault::of(format!("writing {}", path.display())))
}

/// A number with as many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let places = digits.len();
            let grouped = digits.chars().enumerate().flat_map(|(index, digit)| {
                let comma = index > 0 && (places - index).is_multiple_of(3) && digit != '-';
                comma.then_some(',').into_iter().chain([digit])
            });
            grouped.collect()
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size > 0.0 => format!("{value:.3}"),
        _ => "0".to_owned(),
    }
}
