//! The guide: its table of contents has each page, and the programs of each page are tests.

use std::collections::BTreeMap;

use crate::pages;

/// The violations of the `pages` of the guide, by name; `SUMMARY.md` has the table of contents. The
/// programs of a page are tests if `tests` includes it.
pub(crate) fn faults(pages: &BTreeMap<String, String>, tests: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let summary = pages.get("SUMMARY.md").map_or("", String::as_str);
    let listed: Vec<_> = pages::links(summary).collect();
    for (name, text) in pages.iter().filter(|(name, _)| *name != "SUMMARY.md") {
        if listed.iter().filter(|it| *it == name).count() != 1 {
            faults.push(format!("{name}: SUMMARY.md does not list it once"));
        }
        if !tests.contains(&format!("docs/guide/src/{name}\")]")) {
            faults.push(format!("{name}: its programs are not tested"));
        }
        if !text.starts_with("# ") {
            faults.push(format!("{name}: no title in the first line"));
        }
    }
    faults
}
