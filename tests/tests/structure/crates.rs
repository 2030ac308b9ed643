//! The checks of the project's own crates.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sources::Files;
use crate::{layers, sizes};

/// Failure: a lower layer comes to know an upper one, and no part is understood without the whole.
#[test]
fn layers_of_the_crates_hold() {
    check(
        &[
            "reactor",
            "scheduler",
            "net",
            "net/adapters/axum",
            "net/adapters/hyper-util",
            "net/adapters/quinn",
            "net/adapters/websocket",
            "cli",
        ],
        layers::faults,
    );
}

/// Failure: files and functions grow until their parts are hard to find.
#[test]
fn files_and_functions_are_short() {
    check(
        &[
            "reactor",
            "scheduler",
            "net",
            "net/adapters/axum",
            "net/adapters/hyper-util",
            "net/adapters/quinn",
            "net/adapters/websocket",
            "net/macros",
            "cli",
            ".",
        ],
        sizes::faults,
    );
}

/// As above, for the examples and the benchmarks.
#[test]
fn files_and_functions_of_other_targets_are_short() {
    let mut files = Files::new();
    for folder in ["benches", "examples"] {
        read_below(&root(), folder, &mut files);
    }
    assert_eq!(sizes::faults_of_targets(&files), [""; 0]);
}

fn check(crates: &[&str], faults: impl Fn(&Files) -> Vec<String>) {
    let mut report = String::new();
    for name in crates {
        for fault in faults(&read(&root().join(name))) {
            report += &format!("\n{name}: {fault}");
        }
    }
    assert!(report.is_empty(), "{report}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The `README.md` of `folder`, and every source below its `src`.
fn read(folder: &Path) -> Files {
    let mut files = Files::new();
    if let Ok(readme) = fs::read_to_string(folder.join("README.md")) {
        files.insert("README.md".to_owned(), readme);
    }
    read_below(folder, "src", &mut files);
    files
}

fn read_below(folder: &Path, below: &str, files: &mut Files) {
    let at = folder.join(below);
    let entries = fs::read_dir(&at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
    for entry in entries {
        let entry = entry.expect("an entry of a folder is read");
        let name = entry.file_name().into_string().expect("names of sources are UTF-8");
        let path = format!("{below}/{name}");
        if entry.path().is_dir() {
            read_below(folder, &path, files);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("a source is read");
            files.insert(path, text);
        }
    }
}
