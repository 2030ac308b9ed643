//! wrk: a closed loop over keep-alive connections.

use std::process::Command;
use std::time::Duration;

use super::Server;
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse, per_request};
use crate::measure::program::Program;
use crate::peers::need;

#[derive(Clone)]
pub(crate) struct Wrk {
    pub(crate) server: Server,
    pub(crate) connections: usize,
    /// Requests that are sent at once on each connection.
    pub(crate) depth: usize,
    pub(crate) seconds: f64,
}

impl Drive for Wrk {
    /// What a request costs includes accepting its connection, spread over all requests of the
    /// visit.
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        need("wrk", "wrk")?;
        let (server, address) = self.server.start(bench)?;
        let url = format!("http://{address}/");
        self.run(bench, &url, WARM_UP)?;
        let before = server.spent()?;
        let mut figures = self.run(bench, &url, self.seconds)?;
        if figures.get("requests") == Some(&0.0) {
            // Too short to get as far as an answer: many connections, or a busy machine.
            figures = self.run(bench, &url, LONG)?;
        }
        let spent = server.spent()? - before;
        per_request(&mut figures, spent.cpu, spent.switches)?;
        Ok(figures)
    }
}

impl Wrk {
    /// Loads the server for so long; what wrk saw.
    pub(crate) fn run(&self, bench: &Bench, url: &str, seconds: f64) -> Result<Figures, Fault> {
        let script = bench.folder.join(format!("wrk-{}.lua", self.depth));
        let text = SCRIPT.replace("DEPTH", &self.depth.to_string());
        std::fs::write(&script, text)
            .map_err(Fault::of(format!("writing {}", script.display())))?;
        let mut command = Command::new("wrk");
        command.args(["-t1", "-d3600s", &format!("-c{}", self.connections), "-s"]);
        command.arg(&script).arg(url);
        let mut wrk = Program::start(&mut command, &self.server.placement.cpus(&bench.machine).1)?;
        wrk.wait_for_handler()?;
        std::thread::sleep(Duration::from_secs_f64(seconds));
        // wrk takes whole seconds; interrupted, it reports what it has measured so far.
        let figures = parse(&wrk.interrupt()?)?;
        match figures.get("errors") {
            Some(0.0) => Ok(figures),
            _ => Err(Fault::Failed(format!("wrk saw errors at {url}: {figures:?}"))),
        }
    }
}

/// Sends `DEPTH` requests at once, and prints one line of JSON at the end.
const SCRIPT: &str = r#"
init = function(args)
    local requests = {}
    for index = 1, DEPTH do requests[index] = wrk.format(nil, "/") end
    all = table.concat(requests)
end
request = function() return all end
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "rate": %.1f, "errors": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}\n',
        summary.requests, summary.requests * 1e6 / summary.duration,
        errors.connect + errors.read + errors.write + errors.status,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"#;

/// Seconds of warm-up.
const WARM_UP: f64 = 0.1;
/// Seconds in which any server answers.
const LONG: f64 = 5.0;
