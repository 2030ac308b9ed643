//! What the files speak of is explained, and what is explained is there.

use std::collections::BTreeSet;

use super::{names, path, read, text, yaml};

/// Files that speak of metrics.
const SPEAKING: &[&str] = &[
    "deploy/prometheus/prometheus.yml",
    "deploy/prometheus/alerts.yml",
    "deploy/grafana/heist.json",
    "deploy/kubernetes/adapter.yaml",
    "docs/operating.md",
];

/// Files that start heist.
const STARTING: &[&str] = &[
    "deploy/systemd/heist.service",
    "deploy/container/Containerfile",
    "deploy/kubernetes/deployment.yaml",
];

/// Failure: an alert on a metric that was renamed never fires again.
#[test]
fn each_metric_is_documented() {
    const DOCUMENT: &str = "docs/metrics.md";
    if !path(DOCUMENT).exists() {
        heist_tests::skipped("each_metric_is_documented", DOCUMENT);
        return;
    }
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let metric_names = |text: &str| {
        let starts = ["heist_", "process_"].into_iter();
        starts.flat_map(|start| names(text, start, is_part)).collect::<BTreeSet<_>>()
    };
    let documented = metric_names(&read(DOCUMENT));
    let adapter = yaml("deploy/kubernetes/adapter.yaml");
    let derived = text(&adapter["rules"]["custom"][0]["name"]["as"]);
    for file in SPEAKING {
        for name in metric_names(&read(file)) {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|it| name.strip_suffix(it));
            let known = documented.contains(family.unwrap_or(&name)) || documented.contains(&name);
            assert!(known || name == derived, "{file}: {name} is not in {DOCUMENT}");
        }
    }
}

fn flags(text: &str) -> BTreeSet<String> {
    names(text, "--", |letter| letter.is_ascii_lowercase() || letter == '-')
        .into_iter()
        .filter(|flag| flag.len() > 2)
        .collect()
}

#[test]
fn each_flag_is_explained() {
    let operating = read("docs/operating.md");
    let rows = operating.lines().filter(|line| line.starts_with("| `--")).collect::<String>();
    let explained = flags(&rows);
    assert!(explained.len() > 20, "{explained:?}");
    for file in STARTING {
        // Comments may speak of the flags of others.
        let lines = read(file);
        let lines = lines.lines().filter(|line| !line.trim_start().starts_with('#'));
        let begun = |line: &&str| !line.contains("cargo") && !line.contains("COPY");
        for flag in flags(&lines.filter(begun).collect::<Vec<_>>().join("\n")) {
            assert!(explained.contains(&flag), "{file}: {flag} is not in docs/operating.md");
        }
    }
}

/// An operator searches the page for the name of the alert.
#[test]
fn each_alert_has_its_paragraph_and_each_paragraph_its_alert() {
    let rules = yaml("deploy/prometheus/alerts.yml");
    let rules = rules["groups"][0]["rules"].as_vec().unwrap();
    let alerts: Vec<_> = rules.iter().map(|rule| text(&rule["alert"])).collect();
    let operating = read("docs/operating.md");
    let paragraphs: Vec<_> = operating
        .lines()
        .filter_map(|line| line.strip_prefix("**Heist")?.split('*').next())
        .collect();
    let alerts: Vec<_> = alerts.iter().map(|alert| alert.strip_prefix("Heist").unwrap()).collect();
    assert_eq!(paragraphs, alerts);
}
