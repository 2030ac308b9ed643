//! The text.

use heist_tests::exposition::value;

use super::super::Exporter;
#[cfg(feature = "metrics")]
use super::super::family::{Label, Labelled, write};
#[cfg(feature = "metrics")]
use super::super::page::{Page, Part};
#[cfg(feature = "metrics")]
use super::super::server::HTTP;
use super::{exporter, read, runtime, server_metrics};
use crate::server::Metrics;

#[cfg(feature = "metrics")]
#[test]
fn a_histogram_is_cumulative_and_ends_with_its_count() {
    let http = server_metrics().http.unwrap();
    let mut page = Page::new(Part::All);
    let labels: &[Label] = &[("server", "web".into())];
    write(HTTP, &[Labelled::new(labels, &http)], &mut page);
    let text = page.into_text();
    for line in [
        "# HELP heist_http_request_seconds How long requests took.",
        "# TYPE heist_http_request_seconds histogram",
        "heist_http_request_seconds_bucket{server=\"web\",le=\"0.000001024\"} 29",
        "heist_http_request_seconds_bucket{server=\"web\",le=\"68.719476736\"} 29",
        "heist_http_request_seconds_bucket{server=\"web\",le=\"+Inf\"} 29",
        "heist_http_request_seconds_sum{server=\"web\"} 0.000029",
        "heist_http_request_seconds_count{server=\"web\"} 29",
        "heist_http_requests_total{server=\"web\",code=\"503\"} 15",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line}\n{text}");
    }
    read(&text);
}

#[test]
fn two_runtimes_and_their_servers_share_families_and_keep_their_series() {
    let (one, two) = (runtime(1), runtime(1));
    let exporter = exporter(&one, &two);
    exporter.server("two", "web", || Metrics { accepted: 99, ..server_metrics() });
    let page = read(&exporter.render());
    let accepted = |runtime, server| {
        let labels = [("runtime", runtime), ("server", server)];
        value(&page, "heist_connections_accepted_total", &labels)
    };
    assert_eq!(accepted("one", "web"), Some(50.0));
    assert_eq!(accepted("one", "chat"), Some(50.0));
    assert_eq!(accepted("two", "web"), Some(99.0), "the later server replaces the earlier one");
    for (name, handle) in [("one", one.handle()), ("two", two.handle())] {
        let workers = value(&page, "heist_workers", &[("runtime", name)]);
        assert_eq!(workers, Some(handle.workers() as f64));
    }
    let of_http = page.iter().find(|family| family.name == "heist_http_requests_in_flight");
    let servers: Vec<_> =
        of_http.unwrap().samples.iter().map(|sample| sample.label("server").unwrap()).collect();
    assert_eq!(servers, ["web", "web"], "a server without HTTP has no series of it");
}

#[test]
fn names_with_quotes_backslashes_and_line_breaks_do_not_break_the_page() {
    let (runtime, odd) = (runtime(1), "a\"b\\c\nd");
    let exporter = Exporter::new();
    exporter.runtime(odd, runtime.handle());
    let page = read(&exporter.render());
    assert!(value(&page, "heist_workers", &[("runtime", odd)]).is_some());
}
