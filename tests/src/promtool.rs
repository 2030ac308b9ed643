//! Prometheus' own checker of pages.

use std::io::Write;
use std::process::{Command, Stdio};

/// What `promtool check metrics` has to say about `page`: nothing, if all is well. See that it is
/// there first, with [`has_tool`](crate::has_tool).
///
/// # Panics
/// If it cannot be run.
pub fn complaints(page: &str) -> String {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool was found before");
    // It is dropped at once, which ends the page.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(page.as_bytes()));
    let output = child.wait_with_output().expect("a child that was started can be waited for");
    let mut said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() || !matches!(written, Some(Ok(()))) {
        said.push_str(&format!("({}; page written: {written:?})", output.status));
    }
    said
}
