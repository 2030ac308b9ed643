//! The names in pages of documentation: files, items and links exist.

use std::collections::BTreeSet;

/// Names of std and of other projects that pages mention.
const FOREIGN: &[&str] = &[
    "Arc",
    "AsFd",
    "AsyncBufReadExt",
    "AsyncFd",
    "AsyncRead",
    "AsyncReadExt",
    "AsyncRuntime",
    "AsyncWrite",
    "AsyncWriteExt",
    "BufReader",
    "CancellationToken",
    "Channel",
    "ConnectInfo",
    "Date",
    "DelayQueue",
    "Future",
    "FuturesUnordered",
    "HttpConnector",
    "LocalSet",
    "MissedTickBehavior",
    "Pool",
    "Rc",
    "Send",
    "Sse",
    "Suite",
    "TaskTracker",
    "TimeoutLayer",
    "UdpSocket",
    "UnixDatagram",
    "Waker",
    "WouldBlock",
];

/// Crates whose items pages mention.
const FOREIGN_CRATES: &[&str] = &[
    "axum",
    "hyper",
    "mio",
    "redis",
    "rustix",
    "std",
    "tokio",
    "tokio_postgres",
    "tokio_stream",
    "tokio_util",
    "tonic",
    "tracing",
];

/// Parts of names that stand for others, and the folder of what is built.
const PLACEHOLDERS: &[&str] = &["NNNN", "DATE", "target/"];

/// The names in the Markdown `text` of the page at `page` that do not exist. `paths` are the files
/// and folders of the repository, `names` what its sources define. A path starts at the root of the
/// repository or in the folder of the page.
pub(crate) fn faults(
    page: &str,
    text: &str,
    paths: &BTreeSet<String>,
    names: &BTreeSet<String>,
) -> Vec<String> {
    let mut faults = faults_in_pictures(page, text, paths, names);
    let text = without_blocks(text);
    let codes = text.split('`').skip(1).step_by(2);
    for code in codes.filter(|code| !PLACEHOLDERS.iter().any(|it| code.contains(it))) {
        if is_path(code) {
            let is_there = paths.contains(code.trim_end_matches('/'));
            if !is_there && !paths.contains(&beside(page, code)) {
                faults.push(format!("{page}: no file `{code}`"));
            }
        } else if is_item(code) {
            let segments = code.trim_end_matches("()").split("::");
            let is_missing =
                |it: &&str| !names.contains(*it) && !FOREIGN.contains(it) && !is_crate(it);
            let missing = segments.filter(is_missing);
            faults.extend(missing.map(|it| format!("{page}: no item `{it}` for `{code}`")));
        }
    }
    let missing = links(&text).filter(|link| !paths.contains(&beside(page, link)));
    faults.extend(missing.map(|link| format!("{page}: no file for the link {link}")));
    faults
}

/// The names in the pictures of `text` that do not exist: items of several words, such as
/// `CloseReason`, and modules below the `src` of a crate, such as `net/socket`.
fn faults_in_pictures(
    page: &str,
    text: &str,
    paths: &BTreeSet<String>,
    names: &BTreeSet<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (is_picture, line) in fenced(text) {
        let is_part = |it: char| it.is_alphanumeric() || matches!(it, '_' | '/' | '.');
        for word in line.split(|it| !is_part(it)).filter(|_| is_picture == Some(true)) {
            if let Some((package, module)) = word.split_once('/') {
                let at = format!("{package}/src/{module}");
                let is_there = |it: &String| paths.contains(it);
                let is_module = !module.is_empty() && is_there(&format!("{package}/src"));
                if is_module && !is_there(&at) && !is_there(&format!("{at}.rs")) {
                    faults.push(format!("{page}: no module `{word}` for the picture"));
                }
            } else if has_words(word) && !names.contains(word) && !FOREIGN.contains(&word) {
                faults.push(format!("{page}: no item `{word}` for the picture"));
            }
        }
    }
    faults
}

/// Whether `word` is in camel case and of several words.
fn has_words(word: &str) -> bool {
    let is_plain = word.chars().all(char::is_alphanumeric);
    let upper = word.chars().filter(char::is_ascii_uppercase).count();
    let lower = word.contains(|it: char| it.is_ascii_lowercase());
    is_plain && lower && upper > 1 && word.starts_with(|it: char| it.is_ascii_uppercase())
}

/// `text` without its fenced blocks.
fn without_blocks(text: &str) -> String {
    let lines = fenced(text).into_iter().filter(|(block, _)| block.is_none());
    lines.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// The lines of `text` but fences; inside of a fenced block with whether that is a picture, as it
/// names no language.
fn fenced(text: &str) -> Vec<(Option<bool>, &str)> {
    let mut block = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(language), None) => block = Some(matches!(language, "" | "text")),
            (Some(_), Some(_)) => block = None,
            (None, _) => lines.push((block, line)),
        }
    }
    lines
}

/// Whether `code` is a path of the repository: it has a folder, or the ending of a text file.
fn is_path(code: &str) -> bool {
    let is_plain = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | '/');
    let has_ending = [".md", ".rs", ".toml"].iter().any(|ending| code.ends_with(ending));
    code.chars().all(is_plain) && !code.starts_with('/') && (code.contains('/') || has_ending)
}

/// Whether `code` names an item of the project: a path with `::`, or one name in camel case.
fn is_item(code: &str) -> bool {
    let name = code.trim_end_matches("()");
    let is_plain = |it: char| it.is_alphanumeric() || matches!(it, '_' | ':');
    let is_camel = name.starts_with(|it: char| it.is_ascii_uppercase())
        && name.contains(|it: char| it.is_ascii_lowercase())
        && !name.contains('_');
    let is_foreign = FOREIGN_CRATES.iter().any(|it| name.starts_with(&format!("{it}::")));
    name.chars().all(is_plain) && (name.contains("::") || is_camel) && !is_foreign
}

fn is_crate(segment: &str) -> bool {
    segment == "crate" || segment == "heist" || segment.starts_with("heist_")
}

/// The targets of the links in `text` that are files.
pub(crate) fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|it| it.split_once(')'));
    targets
        .map(|(target, _)| target.split('#').next().expect("a text has a first part"))
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

/// The path of `link` in the page at `page`.
fn beside(page: &str, link: &str) -> String {
    let mut parts: Vec<_> = page.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            ".." => parts.truncate(parts.len().saturating_sub(1)),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
