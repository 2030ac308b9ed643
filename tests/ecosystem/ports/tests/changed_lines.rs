//! How many lines of a service change when it is ported from tokio.

use similar::{ChangeTag, TextDiff};

/// Of the lines of the service on tokio, which share is changed: those taken out, or those put in if
/// they are more.
fn changed(tokio: &str, heist: &str) -> f64 {
    let diff = TextDiff::from_lines(tokio, heist);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    let changed = count(ChangeTag::Delete).max(count(ChangeTag::Insert));
    println!("{changed} of {} lines", tokio.lines().count());
    changed as f64 / tokio.lines().count() as f64
}

#[test]
fn proxy_changes_six_percent_of_its_lines_at_most() {
    let tokio = include_str!("../src/bin/proxy_tokio.rs");
    let heist = include_str!("../src/bin/proxy_heist.rs");
    let share = changed(tokio, heist);
    assert!(share > 0.0 && share <= 0.06, "{share}");
}

#[test]
fn axum_service_changes_ten_percent_of_its_lines_at_most() {
    let tokio = include_str!("../src/bin/kv_tokio.rs");
    let heist = include_str!("../src/bin/kv_heist.rs");
    let share = changed(tokio, heist);
    assert!(share > 0.0 && share <= 0.1, "{share}");
}
