//! The Grafana dashboard.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use heist_tests::has_tool;
use serde_json::Value;

use super::{check, read, scratch};

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/heist.json")).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Each query of each panel, with the panel's title.
fn queries(dashboard: &Value) -> Vec<(&str, &Value)> {
    let targets = |panel: &'_ Value| panel["targets"].as_array().map_or(0, Vec::len);
    panels(dashboard)
        .iter()
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap();
            (0..targets(panel)).map(move |index| (title, &panel["targets"][index]))
        })
        .collect()
}

/// Writes recording rules for `queries`, so that promtool reads them.
pub(super) fn write_rules(file: &Path, queries: &[String]) {
    let mut rules = "groups:\n- name: queries\n  rules:\n".to_owned();
    for (index, query) in queries.iter().enumerate() {
        // A JSON string is a YAML string.
        let query = serde_json::to_string(query).unwrap();
        rules.push_str(&format!("  - record: heist:query{index}\n    expr: {query}\n"));
    }
    fs::write(file, rules).unwrap();
}

#[test]
fn each_query_is_understood() {
    if !has_tool("each_query_is_understood", "promtool", "prometheus") {
        return;
    }
    let dashboard = dashboard();
    let fill = |(_, target): (&str, &Value)| {
        let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
        query.replace('$', "")
    };
    let queries: Vec<_> = queries(&dashboard).into_iter().map(fill).collect();
    assert!(queries.len() > 50);
    let file = scratch("dashboard").join("rules.yml");
    write_rules(&file, &queries);
    check(Command::new("promtool").args(["check", "rules"]).arg(&file));
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

/// Failure: a panel that shows another data source, or all instances whatever was chosen.
#[test]
fn each_query_obeys_the_variables() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let known: Vec<_> = variables.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(known, ["datasource", "job", "instance", "runtime", "server"]);
    for (title, target) in queries(&dashboard) {
        assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        let query = target["expr"].as_str().unwrap();
        let selectors = query.matches('{').count();
        assert_eq!(query.matches("instance=~\"$instance\"").count(), selectors, "{title}: {query}");
        let metrics = ["heist_", "process_", "up{"].map(|start| query.matches(start).count());
        let metrics: usize = metrics.iter().sum();
        assert_eq!(selectors, metrics, "{title}: {query}");
        for used in super::names(query, "$", |letter| letter.is_alphanumeric() || letter == '_') {
            assert!(used == "$__rate_interval" || known.contains(&&used[1..]), "{title}: {used}");
        }
    }
}

#[test]
fn panels_have_their_own_id_and_place() {
    let dashboard = dashboard();
    let mut ids = HashSet::new();
    let mut taken = HashSet::new();
    for panel in panels(&dashboard) {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{title}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies over another");
        }
    }
}
