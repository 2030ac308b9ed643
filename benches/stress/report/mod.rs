//! Saying what was found: a table, a file for programs, a page for people.

mod chart;
mod curve;
mod json;
mod page;
pub(crate) mod table;

use crate::measure::bench::{Bench, root};
use crate::measure::figures::Fault;
use crate::measure::rounds::Outcome;
use crate::measure::write::save;
use crate::options::Options;
use crate::plan::Plan;

/// Writes the file and the page, reads the file back, and prints their paths.
pub(crate) fn write(
    bench: &Bench,
    options: &Options,
    plan: &Plan,
    outcomes: &[Outcome],
) -> Result<(), Fault> {
    let curves = curve::all(plan, outcomes);
    let text = format!("{:#}\n", json::result(bench, options, plan, outcomes, &curves));
    json::check(&text, plan, outcomes)?;
    let file = bench.folder.join("stress.json");
    save(&file, &text)?;
    let page = bench.folder.join("stress.html");
    save(&page, &page::render(bench, options, plan, outcomes, &curves)?)?;
    println!("\n{}\n{}", file.display(), page.display());
    if options.record {
        let name = format!("{}-stress.json", bench.machine.date);
        save(&root().join("benches/record").join(name), &text)?;
    }
    Ok(())
}
