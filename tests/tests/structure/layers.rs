//! The layers of a crate: no import cycle among its files, no import of an upper layer by a lower one.
//!
//! The README of the crate lists its modules, the direct children of `src`, from the top layer to
//! the bottom:
//!
//! ```text
//! ## Layers
//!
//! 1. `runtime`: starts and stops the others.
//! 2. `task`, `time`: modules of one rank.
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::cycles::cycles;
use crate::imports::{Imports, imports};
use crate::sources::{Files, Sources};

/// The violations in the crate `files`, one text each.
pub(crate) fn faults(files: &Files) -> Vec<String> {
    let sources = Sources::parse(files);
    let (imports, mut faults) = imports(&sources);
    faults.extend(cycle_faults(&imports));
    let readme = files.get("README.md").map_or("", String::as_str);
    match ranks(readme) {
        Ok(ranks) => {
            faults.extend(list_faults(&ranks, &sources, files));
            faults.extend(upward_faults(&ranks, &imports));
            faults.extend(rank_faults(&ranks, &imports));
        }
        Err(fault) => faults.push(fault),
    }
    faults
}

/// The ranks of modules by name: 1 is the top.
type Ranks = BTreeMap<String, usize>;

fn ranks(readme: &str) -> Result<Ranks, String> {
    let mut lines = readme.lines();
    if !lines.any(|line| line.trim() == "## Layers") {
        return Err("README.md has no heading `## Layers`".to_owned());
    }
    let mut ranks = Ranks::new();
    let items = lines.take_while(|line| !line.starts_with('#')).filter_map(item);
    for (index, modules) in items.enumerate() {
        for module in modules {
            if ranks.insert(module.to_owned(), index + 1).is_some() {
                return Err(format!("README.md lists the module `{module}` twice"));
            }
        }
    }
    if ranks.is_empty() {
        return Err("README.md has no numbered list below `## Layers`".to_owned());
    }
    Ok(ranks)
}

/// The modules with which an item of a numbered list begins.
fn item(line: &str) -> Option<Vec<&str>> {
    let (number, mut rest) = line.split_once(". ")?;
    number.parse::<usize>().ok()?;
    let mut modules = Vec::new();
    while let Some((module, behind)) = rest.strip_prefix('`').and_then(|it| it.split_once('`')) {
        modules.push(module.trim_end_matches('/'));
        rest = behind.strip_prefix(", ").unwrap_or("");
    }
    Some(modules)
}

/// The direct child of `src` to which `file` belongs; none for the root of the crate.
fn module_of(file: &str) -> Option<&str> {
    let below = file.strip_prefix("src/").expect("a source is below src");
    let module = below.split('/').next().expect("a path has a part").trim_end_matches(".rs");
    let is_root = matches!(below, "lib.rs" | "main.rs");
    (!is_root).then_some(module)
}

/// The rank of `file`: 0 for the root of the crate, none for a module without rank.
fn rank_of(ranks: &Ranks, file: &str) -> Option<usize> {
    module_of(file).map_or(Some(0), |module| ranks.get(module).copied())
}

fn list_faults(ranks: &Ranks, sources: &Sources, files: &Files) -> Vec<String> {
    let modules: BTreeSet<_> = sources.parsed.keys().filter_map(|it| module_of(it)).collect();
    let missing = modules.iter().filter(|it| !ranks.contains_key(**it));
    let missing = missing.map(|it| format!("README.md does not list the module `{it}`"));
    let exists = |module: &str| {
        files.keys().any(|it| it.starts_with("src/") && module_of(it) == Some(module))
    };
    let gone = ranks.keys().filter(|it| !exists(it));
    let gone = gone.map(|it| format!("README.md lists the module `{it}`, which does not exist"));
    missing.chain(gone).collect()
}

fn cycle_faults(imports: &Imports) -> Vec<String> {
    let edges = imports.keys().map(|(from, to)| (from.as_str(), to.as_str()));
    let faults = cycles(edges).into_iter().map(|files| {
        let inside = imports
            .iter()
            .filter(|((from, to), _)| files.contains(&**from) && files.contains(&**to));
        format!("a cycle of {} files:{}", files.len(), list(inside))
    });
    faults.collect()
}

fn upward_faults(ranks: &Ranks, imports: &Imports) -> Vec<String> {
    let is_upward = |from: &str, to: &str| {
        let (from, to) = (rank_of(ranks, from), rank_of(ranks, to));
        from.zip(to).is_some_and(|(from, to)| from > to)
    };
    let upward: Vec<_> = imports.iter().filter(|((from, to), _)| is_upward(from, to)).collect();
    let count = upward.len();
    let fault = || format!("{count} imports of an upper layer by a lower one:{}", list(upward));
    (count > 0).then(fault).into_iter().collect()
}

/// Cycles among modules of one rank that are none among files.
fn rank_faults(ranks: &Ranks, imports: &Imports) -> Vec<String> {
    let edge = |(from, to): &(String, String)| -> Option<(String, String)> {
        let (from, to) = (module_of(from)?, module_of(to)?);
        let is_inside = from != to && ranks.get(from)? == ranks.get(to)?;
        is_inside.then(|| (from.to_owned(), to.to_owned()))
    };
    let edges: BTreeSet<_> = imports.keys().filter_map(edge).collect();
    let faults = cycles(edges.iter().map(|(from, to)| (from.as_str(), to.as_str())));
    let faults = faults.into_iter().map(|modules| {
        let has = |file: &str| module_of(file).is_some_and(|it| modules.contains(it));
        let inside = imports
            .iter()
            .filter(|((from, to), _)| has(from) && has(to) && module_of(from) != module_of(to));
        format!("a cycle of {} modules of one rank:{}", modules.len(), list(inside))
    });
    faults.collect()
}

/// A line for each pair of files, with every import that makes it. The uses of an imported name are
/// left out.
fn list<'a>(
    imports: impl IntoIterator<Item = (&'a (String, String), &'a BTreeSet<(usize, String)>)>,
) -> String {
    let mut text = String::new();
    for ((from, to), places) in imports {
        text += &format!("\n  {from} -> {to}");
        let mut imported = BTreeSet::new();
        for (line, path) in places {
            let (first, last) = (path.split("::").next(), path.split("::").last());
            if !imported.contains(&first) {
                text += &format!("\n      {from}:{line}: `{path}`");
            }
            imported.insert(last);
        }
    }
    text
}
