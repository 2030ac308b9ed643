//! Figures for Prometheus: read where they are kept, when somebody asks.
//!
//! Nothing is written here while the server works. A scrape reads the runtime's own counters and
//! sets the recorder's to the same values, so that one page shows them beside whatever else the
//! process counts through `metrics`.

use std::io;

use heist::{Handle, Metrics};
use metrics::{Label, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rustix::io::Errno;

use super::app::App;
use super::connections::Ending;
use families::{Family, Kind};

mod families;

/// The recorder of the process.
pub(crate) struct Exporter {
    recorder: PrometheusHandle,
}

impl Exporter {
    /// Makes a recorder, and makes it the one of the process unless there is one already.
    pub(crate) fn install() -> Exporter {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // It fails if there is one: then the page shows what is ours, and not what goes there.
        let _ = metrics::set_global_recorder(recorder);
        families::describe();
        describe_gauge!("heist_build_info", "Always 1; the label is the version.");
        describe_gauge!("heist_connections", "Connections now.");
        describe_gauge!("heist_fd_limit", "Descriptors the process may have.");
        describe_gauge!("heist_sources", "Sockets registered with the event queue.");
        describe_counter!("heist_connections_accepted_total", "Connections accepted.");
        describe_counter!("heist_connections_closed_total", "Connections ended, by how.");
        describe_counter!("heist_accept_errors_total", "Errors of accept.");
        describe_counter!("heist_http_requests_total", "Requests answered, by status code.");
        describe_counter!("heist_log_lines_dropped_total", "Log lines dropped in a flood.");
        Exporter { recorder: handle }
    }

    /// The page.
    pub(crate) fn render(&self, app: &App) -> String {
        let figures = app.runtime.metrics();
        families::publish(&figures);
        publish_server(app);
        let mut page = self.recorder.render();
        page.push_str(&busy_seconds(&figures));
        page
    }
}

/// Counts an error of `accept`; rare, so it goes to the recorder as it comes.
pub(crate) fn count_accept_error(error: &io::Error) {
    counter!("heist_accept_errors_total", "error" => errno_name(error)).increment(1);
}

fn publish_server(app: &App) {
    let counts = app.connections.counts();
    gauge!("heist_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    gauge!("heist_connections", "server" => SERVER, "state" => "open").set(counts.open as f64);
    gauge!("heist_fd_limit").set(app.descriptor_limit as f64);
    gauge!("heist_sources").set(sources(&app.runtime) as f64);
    counter!("heist_connections_accepted_total", "server" => SERVER).absolute(counts.accepted);
    for ending in Ending::ALL {
        let closed = counts.of(ending);
        counter!("heist_connections_closed_total", "reason" => ending.label()).absolute(closed);
    }
    for (code, count) in app.responses.sums() {
        counter!("heist_http_requests_total", "code" => code).absolute(count);
    }
    let dropped = app.dropped_lines.dropped_lines() as u64;
    counter!("heist_log_lines_dropped_total").absolute(dropped);
}

fn sources(runtime: &Handle) -> usize {
    heist::net::Driver::of(runtime).map_or(0, |driver| driver.queue().sources())
}

/// The one counter that is no whole number, which the recorder cannot hold.
fn busy_seconds(figures: &Metrics) -> String {
    const NAME: &str = "heist_worker_busy_seconds_total";
    let mut text =
        format!("# HELP {NAME} Time a worker spent polling tasks.\n# TYPE {NAME} counter\n");
    for (index, worker) in figures.workers.iter().enumerate() {
        let seconds = worker.busy.as_secs_f64();
        text.push_str(&format!("{NAME}{{worker=\"{index}\"}} {seconds}\n"));
    }
    text
}

/// The name under which an error of `accept` is known.
fn errno_name(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "EMFILE",
        Some(Errno::NFILE) => "ENFILE",
        Some(Errno::NOBUFS) => "ENOBUFS",
        Some(Errno::NOMEM) => "ENOMEM",
        Some(Errno::CONNABORTED) => "ECONNABORTED",
        Some(Errno::PERM) => "EPERM",
        _ => "other",
    }
}

/// The only server of this process.
const SERVER: &str = "http";

impl Family<Metrics> {
    fn publish(&self, figures: &Metrics) {
        self.set(self.labels(), (self.value)(figures));
    }
}

impl<T> Family<T> {
    fn labels(&self) -> Vec<Label> {
        self.label.iter().map(|&(key, value)| Label::new(key, value)).collect()
    }

    fn set(&self, labels: Vec<Label>, value: f64) {
        match self.kind {
            // Counts below 2^53 are exact, and more do not come together in a lifetime.
            Kind::Counter => counter!(self.name, labels).absolute(value as u64),
            Kind::Gauge => gauge!(self.name, labels).set(value),
        }
    }

    fn describe(&self) {
        match self.kind {
            Kind::Counter => describe_counter!(self.name, self.help),
            Kind::Gauge => describe_gauge!(self.name, self.help),
        }
    }
}
