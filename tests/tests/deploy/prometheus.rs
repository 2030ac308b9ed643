//! The alert rules and the scrape configuration.

use std::fs;
use std::process::Command;

use heist_tests::has_tool;

use super::{check, path, read, text, yaml};

fn promtool(arguments: &[&str]) -> String {
    check(Command::new("promtool").args(arguments).current_dir(path("deploy/prometheus")))
}

#[test]
fn promtool_has_nothing_to_say_about_the_rules() {
    if !has_tool("promtool_has_nothing_to_say_about_the_rules", "promtool", "prometheus") {
        return;
    }
    let said = promtool(&["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"]);
    assert!(said.contains("SUCCESS"), "{said}");
    let said = promtool(&["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"]);
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn rules_fire_when_they_should_and_only_then() {
    if has_tool("rules_fire_when_they_should_and_only_then", "promtool", "prometheus") {
        promtool(&["test", "rules", "alerts_test.yml"]);
    }
}

#[test]
fn each_alert_says_what_to_do_and_how_soon() {
    for rule in yaml("deploy/prometheus/alerts.yml")["groups"][0]["rules"].as_vec().unwrap() {
        let name = text(&rule["alert"]);
        assert!(["page", "ticket"].contains(&text(&rule["labels"]["severity"])), "{name}");
        assert!(text(&rule["annotations"]["summary"]).contains("{{ $labels.instance }}"), "{name}");
        assert!(text(&rule["annotations"]["description"]).len() > 80, "{name}");
    }
}

/// The autoscaler's query, as the adapter fills it in, is one that Prometheus understands.
#[test]
fn query_of_the_adapter_is_understood() {
    if !has_tool("query_of_the_adapter_is_understood", "promtool", "prometheus") {
        return;
    }
    let adapter = yaml("deploy/kubernetes/adapter.yaml");
    let query = text(&adapter["rules"]["custom"][0]["metricsQuery"])
        .replace("<<.Series>>", "heist_task_wait_seconds_bucket")
        .replace("<<.LabelMatchers>>", "namespace=\"default\",pod=~\"a|b\"")
        .replace("<<.GroupBy>>", "pod");
    let file = super::scratch("adapter").join("rules.yml");
    super::dashboard::write_rules(&file, &[query]);
    promtool(&["check", "rules", file.to_str().unwrap()]);
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[test]
fn prometheus_scrapes_the_admin_listener() {
    let config = yaml("deploy/prometheus/prometheus.yml");
    let job = &config["scrape_configs"][0];
    assert_eq!(text(&job["job_name"]), "heist");
    assert!(read("deploy/prometheus/alerts.yml").contains("job=\"heist\""));
    let target = text(&job["static_configs"][0]["targets"][0]);
    assert!(read("deploy/systemd/heist.service").contains(&format!("--admin {target}")));
}
