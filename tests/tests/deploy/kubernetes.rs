//! The Kubernetes manifests.

use yaml_rust2::Yaml;

use super::{CUT, PATIENCE, seconds, text, yaml};

fn deployment() -> Yaml {
    yaml("deploy/kubernetes/deployment.yaml")
}

fn container(deployment: &Yaml) -> &Yaml {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

/// The value of a flag that heist is started with.
fn flag<'a>(container: &'a Yaml, flag: &str) -> &'a str {
    let arguments = container["args"].as_vec().unwrap().iter().map(text);
    let mut values = arguments.filter_map(|it| it.strip_prefix(flag)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("{flag} is not given"))
}

/// The number of the port called `name`.
fn port(container: &Yaml, name: &Yaml) -> i64 {
    let ports = container["ports"].as_vec().unwrap();
    let named = ports.iter().find(|port| port["name"] == *name);
    named.unwrap_or_else(|| panic!("no port {name:?}"))["containerPort"].as_i64().unwrap()
}

#[test]
fn every_manifest_is_applied_and_is_about_the_same_thing() {
    let list = yaml("deploy/kubernetes/kustomization.yaml");
    let files: Vec<_> = list["resources"].as_vec().unwrap().iter().map(text).collect();
    let mut kinds = Vec::new();
    for file in files {
        let manifest = yaml(&format!("deploy/kubernetes/{file}"));
        assert!(!manifest["apiVersion"].is_badvalue(), "{file}");
        assert_eq!(text(&manifest["metadata"]["name"]), "heist", "{file}");
        kinds.push(text(&manifest["kind"]).to_owned());
    }
    let known = ["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"];
    assert_eq!(kinds, known);
}

/// Failure: a selector that selects nothing: no endpoints, no disruption budget.
#[test]
fn selectors_select_the_pods() {
    let deployment = deployment();
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], *labels);
    let service = yaml("deploy/kubernetes/service.yaml");
    assert_eq!(service["spec"]["selector"], *labels);
    let budget = yaml("deploy/kubernetes/pdb.yaml");
    assert_eq!(budget["spec"]["selector"]["matchLabels"], *labels);
    let scaled = &yaml("deploy/kubernetes/hpa.yaml")["spec"]["scaleTargetRef"];
    for key in ["apiVersion", "kind"] {
        assert_eq!(scaled[key], deployment[key]);
    }
}

#[test]
fn probes_and_service_reach_the_ports_that_heist_listens_on() {
    let deployment = deployment();
    let container = container(&deployment);
    for (probe, page) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(text(&asked["path"]), page);
        let port = port(container, &asked["port"]);
        assert!(flag(container, "--admin").ends_with(&format!(":{port}")), "{probe}");
    }
    let service = yaml("deploy/kubernetes/service.yaml");
    let port = port(container, &service["spec"]["ports"][0]["targetPort"]);
    assert!(flag(container, "--listen").ends_with(&format!(":{port}")));
}

/// Failure: the kubelet hangs up before the answer, and the reason, that no worker runs, is not read.
#[test]
fn probe_of_life_waits_for_the_answer() {
    let deployment = deployment();
    let probe = &container(&deployment)["livenessProbe"];
    let timeout = probe["timeoutSeconds"].as_i64().unwrap();
    assert!(timeout > PATIENCE as i64);
    // One probe is over before the next one begins.
    assert!(probe["periodSeconds"].as_i64().unwrap() > timeout);
}

/// Failure: the kubelet kills a server that still drains, or routes to one that listens no more.
#[test]
fn pod_is_given_longer_than_a_drain_takes() {
    let deployment = deployment();
    let container = container(&deployment);
    let patience = &deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    let delay = seconds(flag(container, "--drain-delay"));
    let drain = delay + seconds(flag(container, "--grace")) + CUT;
    assert!(patience.as_i64().unwrap() > drain as i64);
    // Not ready any more is seen by then.
    let probe = &container["readinessProbe"];
    let seen =
        probe["periodSeconds"].as_i64().unwrap() * probe["failureThreshold"].as_i64().unwrap();
    assert!(seen < delay as i64);
}

/// Failure: the autoscaler asks for a metric that does not exist.
#[test]
fn autoscaler_asks_for_what_the_adapter_makes() {
    let adapter = yaml("deploy/kubernetes/adapter.yaml");
    let made = &adapter["rules"]["custom"][0]["name"]["as"];
    let scaler = yaml("deploy/kubernetes/hpa.yaml");
    assert_eq!(scaler["spec"]["metrics"][0]["pods"]["metric"]["name"], *made);
}
