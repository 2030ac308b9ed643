//! A real Prometheus, with the configuration and the rules in `deploy/`, scrapes the program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use heist_tests::{hang_guard, has_tool};
use serde_json::Value;

use crate::child::Program;
use heist_tests::http_client::Client;

/// A running Prometheus; dropping it ends it and removes its directory.
struct Prometheus {
    child: Child,
    client: Client,
    directory: PathBuf,
}

impl Prometheus {
    /// Starts one that scrapes `target` ten times a second.
    fn start(target: SocketAddr) -> Prometheus {
        // Two test runs may overlap.
        let directory = format!("prometheus-{}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(directory);
        fs::create_dir_all(&directory).unwrap();
        let given = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
        fs::copy(given.join("alerts.yml"), directory.join("alerts.yml")).unwrap();
        let configuration = fs::read_to_string(given.join("prometheus.yml")).unwrap();
        for replaced in ["127.0.0.1:9000", ": 15s", ": 1s"] {
            assert!(configuration.contains(replaced), "{replaced}");
        }
        let configuration = configuration
            .replace("127.0.0.1:9000", &target.to_string())
            .replace(": 15s", ": 100ms")
            .replace(": 1s", ": 100ms");
        fs::write(directory.join("prometheus.yml"), configuration).unwrap();
        let mut command = Command::new("prometheus");
        command.arg("--config.file=prometheus.yml").arg("--storage.tsdb.path=data");
        command.arg("--web.listen-address=127.0.0.1:0").current_dir(&directory);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let is_address = |line: String| {
            let (_, address) = line.split_once("msg=\"Listening on\" address=")?;
            address.trim().parse::<SocketAddr>().ok()
        };
        let address = log.find_map(is_address).expect("Prometheus ended before it listened");
        // The test reads no output, and a full pipe would block it.
        std::thread::spawn(move || log.for_each(drop));
        Prometheus { child, client: Client::connect(address), directory }
    }

    /// The result of `query`: the samples' labels and values.
    fn query(&mut self, query: &str) -> Vec<(Value, f64)> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let response = self.client.get(&format!("/api/v1/query?query={encoded}"));
        // It refuses until it has read its database.
        if response.status == 503 {
            return Vec::new();
        }
        let answer: Value = serde_json::from_str(response.text()).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let samples = answer["data"]["result"].as_array().unwrap().iter();
        let value = |sample: &Value| sample["value"][1].as_str().unwrap().parse().unwrap();
        samples.map(|sample| (sample["metric"].clone(), value(sample))).collect()
    }

    /// The state of the rules.
    fn rules(&mut self) -> Vec<Value> {
        let answer = self.client.get("/api/v1/rules?type=alert");
        let answer: Value = serde_json::from_str(answer.text()).unwrap();
        answer["data"]["groups"][0]["rules"].as_array().unwrap().clone()
    }

    /// Queries until there is a value that is `good`, and returns it.
    fn wait_for(&mut self, query: &str, good: impl Fn(f64) -> bool) -> f64 {
        loop {
            if let [(_, value)] = self.query(query)[..]
                && good(value)
            {
                return value;
            }
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn prometheus_scrapes_and_answers() {
    let _guard = hang_guard("prometheus");
    if !has_tool("prometheus_scrapes_and_answers", "prometheus", "prometheus") {
        return;
    }
    let program = Program::start(&["--workers", "3"]);
    let mut prometheus = Prometheus::start(program.admin());
    prometheus.wait_for("up{job=\"heist\"}", |up| up == 1.0);
    assert_eq!(prometheus.wait_for("sum(heist_workers)", |_| true), 3.0);

    let mut client = program.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/nowhere").status, 404);
    }
    let answered = "sum(heist_http_requests_total{code=\"404\"})";
    assert_eq!(prometheus.wait_for(answered, |count| count >= 100.0), 100.0);
    prometheus.wait_for("sum(rate(heist_worker_polls_total[1m]))", |rate| rate > 0.0);

    // Every rule can be evaluated on the metrics, and a healthy server raises no alert.
    while prometheus.rules().iter().any(|rule| rule["health"] == "unknown") {}
    for rule in prometheus.rules() {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    // Except that a worker which gets no CPU for a second seems to stall, and this alert does not wait.
    let firing = "ALERTS{alertstate=\"firing\",alertname!=\"HeistWorkerStalled\"}";
    assert_eq!(prometheus.query(firing), []);
}
