//! The files in `deploy/` and `docs/operating.md` are right, and agree with each other: what an
//! operator copies must work the first time.

mod dashboard;
mod documents;
mod kubernetes;
mod prometheus;
mod systemd;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use yaml_rust2::{Yaml, YamlLoader};

/// Where the file called `name` is, in the repository.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The only document of a YAML file.
fn yaml(name: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(&read(name)).unwrap();
    assert_eq!(documents.len(), 1, "{name}");
    documents.remove(0)
}

/// Text of a YAML value that must be there.
fn text(value: &Yaml) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value:?}"))
}

/// Runs a checker that is silent, or says so, when it finds nothing; returns what it says.
fn check(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// An empty directory of this test's own. Two suites may run at once.
fn scratch(name: &str) -> PathBuf {
    let name = format!("{name}-{}", std::process::id());
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// The names in `text` that begin with `prefix` and go on with letters that `part` accepts.
fn names(text: &str, prefix: &str, part: impl Fn(char) -> bool) -> Vec<String> {
    let rest = text.match_indices(prefix).filter(|&(at, _)| {
        // Not in the middle of another name.
        !text[..at].ends_with(|before: char| before.is_alphanumeric() || "_-".contains(before))
    });
    rest.map(|(at, _)| {
        let end = text[at + prefix.len()..].find(|letter| !part(letter));
        let end = end.map_or(text.len(), |end| at + prefix.len() + end);
        text[at..end].to_owned()
    })
    .collect()
}

/// Seconds of a time such as `30s`.
fn seconds(time: &str) -> u64 {
    let number = time.strip_suffix('s').unwrap_or_else(|| panic!("not in seconds: {time}"));
    number.parse().unwrap()
}

/// How long `/healthz` waits for a worker before it answers (`PATIENCE` of the program), in seconds.
const PATIENCE: u64 = 2;

/// How long a force-closed connection may take to end (`FORCE_CLOSE_TIME` of the program).
const CUT: u64 = 5;
