//! `docs/operating.md` lists every flag of the program, with its default.

use std::collections::BTreeMap;
use std::path::Path;

use crate::child::{command, run};

/// A flag in the help.
#[derive(Debug, Default)]
struct Flag {
    takes_value: bool,
    /// Its whole description on one line.
    words: String,
}

/// Failure: a flag is missing in the manual, the manual has one that is gone, or the defaults
/// differ.
#[test]
fn table_of_flags_is_that_of_the_program() {
    let (flags, table) = (flags(&help()), table(&operating()));
    let names: Vec<_> = flags.keys().collect();
    assert!(names.len() > 20, "{names:?}");
    assert_eq!(names, table.keys().collect::<Vec<_>>());
    for (name, flag) in &flags {
        let shown = flag.words.split_once("[default: ").map(|(_, rest)| rest.split_once(']'));
        let documented = table[name].as_str();
        match shown {
            Some(default) => assert_eq!(documented, default.unwrap().0, "{name}"),
            None if !flag.takes_value => assert_eq!(documented, "off", "{name}"),
            // Defaults that depend on the machine are described in words.
            None => assert!(
                plain(&flag.words).contains(&plain(documented)),
                "{name}: {documented:?} is not in {:?}",
                flag.words
            ),
        }
    }
}

fn help() -> String {
    let outcome = run(command().args(["serve", "--help"]));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout
}

fn operating() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    std::fs::read_to_string(path).unwrap()
}

/// The flags in a page of help, without `--help` itself.
fn flags(help: &str) -> BTreeMap<String, Flag> {
    let mut flags = BTreeMap::<String, Flag>::new();
    let mut name = None;
    for line in help.lines() {
        if let Some(flag) = line.trim_start().strip_prefix("--") {
            // A value may be left out: `--flag[=<VALUE>]`.
            let (flag, rest) = flag.split_once([' ', '[']).unwrap_or((flag, ""));
            let begun = Flag { takes_value: rest.starts_with(['<', '=']), words: rest.to_owned() };
            assert!(flags.insert(flag.to_owned(), begun).is_none(), "--{flag} comes twice");
            name = Some(flag.to_owned());
        } else if !line.starts_with("    ") && !line.is_empty() {
            // A flag with a short form, or the next heading.
            name = None;
        } else if let Some(name) = &name {
            let words = &mut flags.get_mut(name).expect("inserted when it came up").words;
            words.push(' ');
            words.push_str(line.trim());
        }
    }
    flags
}

/// The flags in the table of a page, with their defaults.
fn table(page: &str) -> BTreeMap<String, String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `--"));
    rows.map(|row| {
        let (flag, rest) = row.split_once("` | ").unwrap();
        (flag.to_owned(), rest.split_once(" | ").unwrap().0.to_owned())
    })
    .collect()
}

/// Without what may differ: spaces, and commas between digits.
fn plain(text: &str) -> String {
    text.replace(',', "").split_whitespace().collect::<Vec<_>>().join(" ")
}
