//! The register of failures in `tests/README.md` is complete, and each test that it names exists.
//!
//! Sources and manifests are read as text, line by line, as `cargo fmt` leaves them.

use std::fs;
use std::path::Path;

/// Failure: a test is renamed or removed, and the register goes on to name it.
#[test]
fn register_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let register = read("tests/README.md").expect("tests/README.md is read");
    assert_eq!(faults(&register, read), [""; 0]);
}

/// What is wrong with the register, one line a fault. `read` returns the text of a file by its path
/// in the repository.
fn faults(register: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut lines = register.lines().filter(|line| line.starts_with('|'));
    if (lines.next(), lines.next()) != (Some(HEADER), Some(RULE)) {
        return vec![format!("the table does not begin with `{HEADER}` and `{RULE}`")];
    }
    let (mut faults, mut last) = (Vec::new(), 0);
    for line in lines {
        let Some((number, failure, tests)) = cells(line) else {
            faults.push(format!("not a number and two texts: {line}"));
            continue;
        };
        if number != last + 1 {
            faults.push(format!("{number} follows {last}"));
        }
        last = number;
        if failure.is_empty() {
            faults.push(format!("{number}: no failure"));
        }
        if tests != NOT_YET {
            let wrong = tests.split(", ").filter_map(|test| reference_fault(test, &read));
            faults.extend(wrong.map(|fault| format!("{number}: {fault}")));
        }
    }
    if last == 0 {
        faults.push("the table is empty".to_owned());
    }
    faults
}

const HEADER: &str = "| n | failure | test |";
const RULE: &str = "|---|---|---|";
const NOT_YET: &str = "not yet";

/// The three cells of a row.
fn cells(line: &str) -> Option<(usize, &str, &str)> {
    let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
    let row = (cells.next()?.parse().ok()?, cells.next()?, cells.next()?);
    cells.next().is_none().then_some(row)
}

/// What is wrong with one reference.
fn reference_fault(reference: &str, read: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let Some((path, name)) = path_and_name(reference) else {
        return Some(format!("neither `{NOT_YET}` nor `path/to/file.rs::test_name`: {reference}"));
    };
    let Some(source) = read(path) else {
        return Some(format!("no file {path}"));
    };
    let is_test = has_test(&source, name) || name == "main" && has_no_harness(path, read);
    (!is_test).then(|| format!("no test {name} in {path}"))
}

/// The parts of `` `path/to/file.rs::test_name` ``.
fn path_and_name(reference: &str) -> Option<(&str, &str)> {
    let (path, name) = reference.strip_prefix('`')?.strip_suffix('`')?.split_once("::")?;
    let is_name = !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || it == '_');
    let is_path = path.ends_with(".rs") && !path.starts_with('/') && !path.contains("..");
    (is_name && is_path).then_some((path, name))
}

/// Whether `source` has a function `name` among whose attributes is `#[test]` and no `#[ignore]`.
/// A function in `proptest!` has its `#[test]`, too: without, nothing calls it.
fn has_test(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let mut attributes = Vec::new();
    // Whether the line before belongs to an attribute that has not ended.
    let mut open = false;
    for line in source.lines().map(str::trim) {
        if open || line.starts_with("#[") {
            attributes.push(line);
            open = !line.ends_with(']');
        } else if line.starts_with(&function) {
            let ignored = attributes.iter().any(|it| it.starts_with("#[ignore"));
            if attributes.contains(&"#[test]") && !ignored {
                return true;
            }
            attributes.clear();
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    false
}

/// Whether the test target at `path` is a program of its own, which fails when its `main` does.
fn has_no_harness(path: &str, read: &impl Fn(&str) -> Option<String>) -> bool {
    let Some((package, file)) = path.split_once("/tests/") else { return false };
    let Some(manifest) = read(&format!("{package}/Cargo.toml")) else { return false };
    let target = format!("name = \"{}\"", file.trim_end_matches(".rs"));
    manifest.split("\n[").any(|table| {
        let has = |wanted: &str| table.lines().any(|line| line == wanted);
        has("[test]]") && has(&target) && has("harness = false")
    })
}

const SOURCE: &str = r#"
/// Failure: it does not work.
#[test]
fn plain() {
    called();
}

#[test]
#[cfg(
    target_os = "linux"
)]
// As it must.
#[should_panic(expected = "[")]
fn panicking() {}

proptest! {
    #[test]
    fn of_all_inputs(input in inputs()) {}
}

fn called() {}

#[inline]
fn inlined() {}

#[test]
#[ignore]
fn ignored() {}

#[test]
const BETWEEN: () = ();
fn behind() {}
"#;

const MANIFEST: &str = r#"
[[test]]
# Says why.
name = "program"
harness = false

[[test]]
name = "ordinary"

[lints]
workspace = true
"#;

/// The faults of a register of these rows, in a repository of three sources and a manifest.
fn faults_of(rows: &[&str]) -> Vec<String> {
    let register = [&["Words.", "", HEADER, RULE], rows].concat().join("\n");
    faults(&register, |path| match path {
        "a/src/lib.rs" => Some(SOURCE.to_owned()),
        "a/tests/program.rs" | "a/tests/ordinary.rs" => Some("fn main() {}".to_owned()),
        "a/Cargo.toml" => Some(MANIFEST.to_owned()),
        _ => None,
    })
}

#[test]
fn complete_register_has_no_fault() {
    let rows = [
        "| 1 | fails (this 1) | `a/src/lib.rs::plain`, `a/src/lib.rs::panicking` |",
        "| 2 | fails | not yet |",
        "| 3 | fails | `a/src/lib.rs::of_all_inputs` |",
        "| 4 | fails | `a/tests/program.rs::main` |",
    ];
    assert_eq!(faults_of(&rows), [""; 0]);
}

#[test]
fn missing_doubled_and_swapped_numbers_are_found() {
    let row = |number: usize| format!("| {number} | fails | not yet |");
    for (numbers, found) in [
        (&[][..], &["the table is empty"][..]),
        (&[2], &["2 follows 0"]),
        (&[1, 3], &["3 follows 1"]),
        (&[1, 2, 2], &["2 follows 2"]),
        (&[1, 3, 2, 4], &["3 follows 1", "2 follows 3", "4 follows 2"]),
    ] {
        let rows: Vec<_> = numbers.iter().map(|&number| row(number)).collect();
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        assert_eq!(faults_of(&rows), found, "{numbers:?}");
    }
}

#[test]
fn malformed_rows_and_tables_are_found() {
    for row in ["| one | fails | not yet |", "| 1 | fails |", "| 1 | a | b | not yet |", "|"] {
        assert!(faults_of(&[row])[0].starts_with("not a number and two texts"), "{row}");
    }
    assert_eq!(faults_of(&["| 1 | | not yet |"]), ["1: no failure"]);
    assert!(faults("| 1 | fails | not yet |", |_| None)[0].starts_with("the table does not begin"));
}

#[test]
fn what_is_no_reference_is_found() {
    for tests in [
        "",
        "later",
        "Not yet",
        "a/src/lib.rs::plain",
        "`a/src/lib.rs`",
        "`a/src/lib.rs::`",
        "`a/src/lib.rs::tests::plain`",
        "`a/src/lib::plain`",
        "`/a/src/lib.rs::plain`",
        "`../a/src/lib.rs::plain`",
        "`a/src/lib.rs::plain`, not yet",
        "`a/src/lib.rs::plain` `a/src/lib.rs::panicking`",
    ] {
        let found = faults_of(&[&format!("| 1 | fails | {tests} |")]);
        assert!(found.len() == 1 && found[0].starts_with("1: neither "), "{tests}: {found:?}");
    }
}

#[test]
fn files_and_functions_that_are_no_tests_are_found() {
    for (reference, fault) in [
        ("b/src/lib.rs::plain", "1: no file b/src/lib.rs"),
        ("a/src/lib.rs::gone", "1: no test gone in a/src/lib.rs"),
        ("a/src/lib.rs::plai", "1: no test plai in a/src/lib.rs"),
        ("a/src/lib.rs::called", "1: no test called in a/src/lib.rs"),
        ("a/src/lib.rs::inlined", "1: no test inlined in a/src/lib.rs"),
        ("a/src/lib.rs::ignored", "1: no test ignored in a/src/lib.rs"),
        ("a/src/lib.rs::behind", "1: no test behind in a/src/lib.rs"),
        ("a/tests/ordinary.rs::main", "1: no test main in a/tests/ordinary.rs"),
    ] {
        assert_eq!(faults_of(&[&format!("| 1 | fails | `{reference}` |")]), [fault]);
    }
}
