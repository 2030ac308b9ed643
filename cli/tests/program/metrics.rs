//! The page of metrics, compared with `docs/metrics.md`.

use std::collections::BTreeSet;
use std::path::Path;

use heist_tests::{exposition, hang_guard};

use crate::child::Program;
use heist_tests::http_client::Client;

/// Failure: a metric is missing in the manual, or the manual has one that is not exported.
#[test]
fn metrics_of_the_program_are_those_in_the_manual() {
    let _guard = hang_guard("metrics");
    // With a log that can be reopened, so that all families are there.
    let program = Program::start(&["--access-log", "/dev/null"]);
    assert_eq!(program.connect().get("/nowhere").status, 404);
    let page = Client::connect(program.admin()).get("/metrics");
    let page = exposition::parse(page.text()).unwrap();
    let there: BTreeSet<_> = page.iter().map(|family| family.name.clone()).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let (library, program) = manual.split_once("\n## The program\n").unwrap();
    let documented = |section: &str| {
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let names = rows.map(|row| row.split_once('`').unwrap().0.to_owned());
        names.collect::<BTreeSet<_>>()
    };
    let (library, program) = (documented(library), documented(program));
    let unknown: Vec<_> =
        there.iter().filter(|name| !library.contains(*name) && !program.contains(*name)).collect();
    assert!(unknown.is_empty(), "not in docs/metrics.md: {unknown:?}");
    // All of them, and the process's, are there from the start.
    let process = library.iter().filter(|name| name.starts_with("process_"));
    let missing: Vec<_> =
        program.iter().chain(process).filter(|name| !there.contains(*name)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    assert!(there.contains("heist_http_requests_total"), "{there:?}");
}
