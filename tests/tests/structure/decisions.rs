//! The decisions are numbered, have a title and a status, and are all in the index.

use std::collections::BTreeMap;

/// The violations of the pages `files` of decisions, by name; `README.md` has the index.
pub(crate) fn faults(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    let index = files.get("README.md").map_or("", String::as_str);
    let decisions = files.iter().filter(|(name, _)| *name != "README.md");
    let mut rows = Vec::new();
    for (position, (name, text)) in decisions.enumerate() {
        let number = format!("{:04}", position + 1);
        let Some(decision) = Decision::parse(&number, text) else {
            faults.push(format!("{name}: no heading `# {number}. …` and line `Status: …`"));
            continue;
        };
        if !name.starts_with(&format!("{number}-")) {
            faults.push(format!("{name}: its number is not {number}"));
        }
        if let Some(fault) = decision.status_fault(files) {
            faults.push(format!("{name}: {fault}"));
        }
        let start = format!("| [{number}]({name}) | {} | ", decision.title);
        let end = format!(" | {} |", decision.status);
        if !index.lines().any(|row| row.starts_with(&start) && row.ends_with(&end)) {
            faults.push(format!("{name}: README.md has no row `{start}…{end}`"));
        }
        rows.push(start);
    }
    let listed = index.lines().filter(|line| line.starts_with("| [")).count();
    if listed > rows.len() {
        faults.push(format!("README.md lists {listed} decisions of {}", rows.len()));
    }
    faults
}

struct Decision<'a> {
    title: &'a str,
    status: &'a str,
}

impl<'a> Decision<'a> {
    fn parse(number: &str, text: &'a str) -> Option<Decision<'a>> {
        let title = text.lines().next()?.strip_prefix("# ")?.strip_prefix(number)?;
        let status = text.lines().find_map(|line| line.strip_prefix("Status: "))?;
        Some(Decision { title: title.strip_prefix(". ")?, status })
    }

    fn status_fault(&self, files: &BTreeMap<String, String>) -> Option<String> {
        if self.status == "accepted" {
            return None;
        }
        let Some(link) = self.status.strip_prefix("superseded by ") else {
            return Some(BAD_STATUS.to_owned());
        };
        let target = link.split_once("](").and_then(|(_, it)| it.strip_suffix(')'));
        match target {
            Some(target) if files.contains_key(target) => None,
            Some(target) => Some(format!("superseded by {target}, which does not exist")),
            None => Some(BAD_STATUS.to_owned()),
        }
    }
}

const BAD_STATUS: &str = "the status is neither `accepted` nor `superseded by [NNNN](file)`";
