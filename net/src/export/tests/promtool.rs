//! The page, checked by Prometheus' own tool.

use heist_tests::{has_tool, promtool};

use super::{exporter, runtime};

#[test]
fn promtool_accepts_the_page() {
    if !has_tool("promtool_accepts_the_page", "promtool", "prometheus") {
        return;
    }
    let (one, two) = (runtime(2), runtime(1));
    let exporter = exporter(&one, &two);
    for page in [exporter.render(), exporter.render_unbridged()] {
        assert_eq!(promtool::complaints(&page), "", "about\n{page}");
    }
}
