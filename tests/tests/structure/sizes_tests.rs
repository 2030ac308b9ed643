//! The check of sizes on made-up crates.

use crate::sizes::faults;
use crate::sources::Files;

fn faults_of(source: &str) -> Vec<String> {
    faults(&Files::from([
        ("src/lib.rs".to_owned(), "mod a;".to_owned()),
        ("src/a.rs".to_owned(), source.to_owned()),
    ]))
}

/// A function of `lines` lines.
fn function(start: &str, lines: usize) -> String {
    format!("{start} {{\n{}}}\n", "    call();\n".repeat(lines - 2))
}

#[test]
fn short_files_and_functions_hold() {
    assert_eq!(faults_of(&function("fn f()", 50)), [""; 0]);
    assert_eq!(faults_of(&"\n".repeat(400)), [""; 0]);
}

#[test]
fn long_functions_are_found() {
    for (start, end) in [
        ("/// Words.\n#[inline]\nfn f()", ""),
        ("struct S;\nimpl S {\npub(crate) async fn f(self)", "}"),
        ("trait T\n{\nfn f()", "}"),
        ("mod m\n{\nfn f()", "}"),
    ] {
        let found = faults_of(&(function(start, 51) + end));
        assert_eq!(found, ["src/a.rs:3: 51 lines in `f`, 50 at most"], "{start}");
    }
}

#[test]
fn long_files_are_found() {
    assert_eq!(faults_of(&"\n".repeat(401)), ["src/a.rs: 401 lines, 400 at most"]);
}

#[test]
fn tests_and_models_may_be_long() {
    for start in ["#[test]\nfn f()", "#[cfg(test)]\nfn f()", "#[cfg(heist_loom)]\nfn f()"] {
        assert_eq!(faults_of(&function(start, 90)), [""; 0], "{start}");
    }
    let files = ["src/tests/mod.rs", "src/a_tests.rs", "src/loom.rs", "src/loom_models/x.rs"];
    for file in files {
        assert_eq!(faults(&Files::from([(file.to_owned(), "\n".repeat(900))])), [""; 0]);
    }
}
