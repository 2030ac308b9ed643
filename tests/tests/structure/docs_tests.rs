//! The checks of documentation on made-up pages, and on the project's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::{decisions, definitions, guide, pages};

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Failure: a decision is added without its row in the index, or two have one number.
#[test]
fn decisions_are_numbered_and_listed() {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(root().join("docs/decisions")).expect("the decisions are read") {
        let path = entry.expect("an entry of a folder is read").path();
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        files.insert(name, fs::read_to_string(path).expect("a decision is read"));
    }
    assert!(files.len() > 1);
    assert_eq!(decisions::faults(&files), [""; 0]);
}

/// Failure: a page is added to the guide, and no reader finds it, or its programs rot.
#[test]
fn pages_of_the_guide_are_listed_and_tested() {
    let pages = guide_pages().map(|page| {
        let text = fs::read_to_string(root().join(&page)).expect("a page is read");
        (page.rsplit('/').next().expect("a path has a name").to_owned(), text)
    });
    let pages: BTreeMap<_, _> = pages.collect();
    assert!(pages.len() > 1);
    let tests = root().join("tests/ecosystem/src/guide.rs");
    let tests = fs::read_to_string(tests).expect("the tests of the guide are read");
    assert_eq!(guide::faults(&pages, &tests), [""; 0]);
}

/// The paths of the guide's pages.
fn guide_pages() -> impl Iterator<Item = String> {
    paths().into_iter().filter(|it| it.starts_with("docs/guide/src/") && it.ends_with(".md"))
}

/// Failure: an item or a file is renamed, and a page goes on to name it.
#[test]
fn pages_name_what_exists() {
    let (paths, names) = (paths(), names());
    let mut faults = Vec::new();
    for page in PAGES.iter().map(|&page| page.to_owned()).chain(guide_pages()) {
        let page = &page;
        let text = fs::read_to_string(root().join(page)).expect("a page is read");
        faults.extend(pages::faults(page, &text, &paths, &names));
    }
    assert_eq!(faults, [""; 0]);
}

const PAGES: &[&str] = &[
    "CONTRIBUTING.md",
    "README.md",
    "benches/README.md",
    "cli/README.md",
    "docs/decisions/README.md",
    "docs/design.md",
    "docs/metrics.md",
    "docs/scaling.md",
    "net/README.md",
    "net/src/connection/README.md",
    "reactor/README.md",
    "scheduler/README.md",
    "scheduler/src/wake/README.md",
    "scheduler/src/wheel/README.md",
    "tests/README.md",
];

const FOLDERS: &[&str] = &[
    "benches",
    "cli",
    "deploy",
    "docs",
    "examples",
    "net",
    "reactor",
    "scheduler",
    "src",
    "tests",
];

/// Files and folders of the repository.
fn paths() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for name in ["Cargo.toml", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", ".ci", ".ci/run"] {
        paths.insert(name.to_owned());
    }
    FOLDERS.iter().for_each(|folder| add_paths(folder, &mut paths));
    paths
}

fn add_paths(path: &str, paths: &mut BTreeSet<String>) {
    paths.insert(path.to_owned());
    for entry in fs::read_dir(root().join(path)).into_iter().flatten() {
        let entry = entry.expect("an entry of a folder is read");
        let below = format!("{path}/{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true if !below.ends_with("/target") => add_paths(&below, paths),
            _ => drop(paths.insert(below)),
        }
    }
}

fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in paths().iter().filter(|it| it.ends_with(".rs")) {
        let source = fs::read_to_string(root().join(path)).expect("a source is read");
        definitions::collect(path, &source, &mut names);
    }
    names
}

fn faults_of_page(text: &str) -> Vec<String> {
    let paths = ["a", "a/b.rs", "a/docs", "a/docs/c.md", "p", "p/src", "p/src/m.rs"];
    let paths = paths.map(str::to_owned).into();
    let mut names = BTreeSet::new();
    let source = "pub struct Item { field: u8 } impl Item { pub fn method() {} }
        enum Kind { Variant } trait Trait { fn provided(); } pin_project! { struct Pinned { x: u8 } }";
    definitions::collect("a/b.rs", source, &mut names);
    pages::faults("a/docs/page.md", text, &paths, &names)
}

#[test]
fn names_that_exist_hold() {
    for text in [
        "`a/b.rs`, `a/docs/`, `c.md`, `../b.rs`, [it](c.md#part), [it](../b.rs), [it](https://a.b/c), [it](#part)",
        "`Item`, `Item::method`, `Item::method()`, `heist_net::Kind::Variant`, `Trait::provided`",
        "`Item::field`, `Pinned`, `WouldBlock`, `hyper::rt`, `docs/NNNN-title.md`",
        "`snake_case`, `UPPER_CASE`, `--flag`, `T / h`, `/proc/self/fd`, `a b::c`",
        "```rust\n`a/gone.rs` and `GoneItem`\n```",
        "```\np/m ─▶ Gone, p/ n/o a/b/c GONE\n```",
    ] {
        assert_eq!(faults_of_page(text), [""; 0], "{text}");
    }
}

#[test]
fn names_that_do_not_exist_are_found() {
    for (text, fault) in [
        ("`a/gone.rs`", "no file `a/gone.rs`"),
        ("`gone.md`", "no file `gone.md`"),
        ("`Gone`", "no item `Gone` for `Gone`"),
        ("`Item::gone`", "no item `gone` for `Item::gone`"),
        ("`gone::Item`", "no item `gone` for `gone::Item`"),
        ("```\n```\n`Gone`", "no item `Gone` for `Gone`"),
        ("[it](gone.md)", "no file for the link gone.md"),
        ("```text\n─▶ GoneItem─\n```", "no item `GoneItem` for the picture"),
        ("```\n p/gone\n```", "no module `p/gone` for the picture"),
        ("[it](../gone/)", "no file for the link ../gone/"),
    ] {
        assert_eq!(faults_of_page(text), [format!("a/docs/page.md: {fault}")], "{text}");
    }
}

fn faults_of_decisions(index: &str, files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().copied().chain([("README.md", index)]);
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    decisions::faults(&files.collect())
}

#[test]
fn complete_decisions_hold() {
    let index = "| number |\n| [0001](0001-a.md) | A | net | superseded by [0002](0002-b.md) |
| [0002](0002-b.md) | B | net | accepted |";
    let first = ("0001-a.md", "# 0001. A\n\nStatus: superseded by [0002](0002-b.md)\n");
    let second = ("0002-b.md", "# 0002. B\n\nStatus: accepted\n");
    assert_eq!(faults_of_decisions(index, &[first, second]), [""; 0]);
}

#[test]
fn incomplete_decisions_are_found() {
    let index = "| [0001](0001-a.md) | A | net | accepted |";
    let row = "README.md has no row `| [0001](0001-a.md) | A | …";
    for (name, text, fault) in [
        ("0001-a.md", "# 0001. A\n", "0001-a.md: no heading `# 0001. …` and line"),
        ("0001-a.md", "# 0002. A\n\nStatus: accepted", "0001-a.md: no heading `# 0001. …`"),
        ("0002-a.md", "# 0001. A\n\nStatus: accepted", "0002-a.md: its number is not 0001"),
        ("0001-a.md", "# 0001. A\n\nStatus: open", "0001-a.md: the status is neither"),
        (
            "0001-a.md",
            "# 0001. A\n\nStatus: superseded by [0009](0009-x.md)",
            "0001-a.md: superseded by 0009-x.md, which does not exist",
        ),
    ] {
        let found = faults_of_decisions(index, &[(name, text)]);
        let found = found.first().map_or("", String::as_str);
        assert!(found.starts_with(fault), "{text}: {found:?}");
    }
    let found = faults_of_decisions("", &[("0001-a.md", "# 0001. A\n\nStatus: accepted")]);
    assert!(found[0].contains(row), "{found:?}");
    assert_eq!(faults_of_decisions(index, &[]), ["README.md lists 1 decisions of 0"]);
}

#[test]
fn pages_of_a_guide_that_are_not_listed_or_not_tested_are_found() {
    let tests = r#"#[doc = include_str!("../../../docs/guide/src/a.md")]"#;
    let faults_of = |pages: &[(&str, &str)]| {
        let pages = pages.iter().map(|&(name, text)| (name.to_owned(), text.to_owned()));
        guide::faults(&pages.collect(), tests)
    };
    assert_eq!(faults_of(&[("SUMMARY.md", "- [A](a.md)"), ("a.md", "# A")]), [""; 0]);
    assert_eq!(faults_of(&[("a.md", "# A")]), ["a.md: SUMMARY.md does not list it once"]);
    let faults = faults_of(&[("SUMMARY.md", "- [A](a.md)\n- [B](b.md)"), ("b.md", "B")]);
    assert_eq!(faults, ["b.md: its programs are not tested", "b.md: no title in the first line"]);
}
