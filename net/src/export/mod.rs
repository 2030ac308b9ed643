//! What runtimes and their servers count, for Prometheus and for any recorder of the `metrics`
//! crate.
//!
//! # The way of a figure
//!
//! Where it happens, a worker counts it on a line of its own
//! ([`metrics`](heist_scheduler::metrics)). Nothing else is written while the server works. When
//! somebody asks for a page, [`Exporter`] reads the runtime's
//! [`metrics`](heist_scheduler::Handle::metrics) and each server's, goes through its tables of
//! families (one row a name), and puts every series either on the page or into the recorder, by its
//! absolute value.
//!
//! # Two ways to show it
//!
//! [`Exporter::render`] gives the whole page, for a program that counts nothing of its own.
//!
//! A program that counts through `metrics` calls [`Exporter::publish`], renders its recorder, and
//! appends [`Exporter::render_unbridged`]: the families that no recorder holds. These are the
//! histograms, of which a recorder wants every single value; the counters of seconds, since its
//! counters are whole numbers; and the gauge whose series come and go, since it would keep the
//! series that went. So each family is on the page once.
//!
//! Names, units and labels are stable. They are listed in `docs/metrics.md`, with what they cost
//! and what to conclude from them.
//!
//! ```
//! use heist_net::Runtime;
//! use heist_net::export::Exporter;
//!
//! let runtime = Runtime::new()?;
//! let exporter = Exporter::new();
//! exporter.runtime("main", runtime.handle());
//! let page = exporter.render();
//! assert!(page.contains("# TYPE heist_workers gauge\nheist_workers{runtime=\"main\"} "));
//! # Ok::<(), heist_net::StartError>(())
//! ```

use std::fmt;
use std::sync::Arc;

use heist_scheduler::Handle;
use parking_lot::Mutex;

use crate::server::Metrics;
use family::{Label, Labelled, Sink, write};
use page::{Page, Part};
use process::{Process, cpu_time};
use recorder::Bridge;
use runtime::RuntimeFigures;

mod family;
mod netstat;
mod page;
mod process;
mod recorder;
mod runtime;
mod server;
#[cfg(test)]
mod tests;

/// The content type of what [`Exporter::render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Shows the figures of some runtimes and servers.
///
/// It has no global state, so there may be several. Its methods may be called on any thread, also
/// while every worker is stuck; they take no lock that a worker holds for longer than a few
/// instructions. What cannot be read, as `/proc` where there is none, is left out.
#[derive(Default)]
pub struct Exporter {
    /// Holding this = the right to change what is shown. No figures are read under it.
    shown: Mutex<Shown>,
}

#[derive(Clone, Default)]
struct Shown {
    runtimes: Vec<(Vec<Label>, Handle)>,
    servers: Vec<(Vec<Label>, Arc<ReadServer>)>,
}

type ReadServer = dyn Fn() -> Metrics + Send + Sync;

impl Exporter {
    /// An exporter that shows the process and the kernel, and no runtime yet.
    #[must_use]
    pub fn new() -> Exporter {
        Exporter::default()
    }

    /// Shows `runtime`, with the label `runtime="name"` on all its series, from now on and also
    /// after its end. It takes the place of one that had the same name.
    ///
    /// A recorder's counters never fall, so give a runtime that follows another in one process a
    /// name of its own.
    pub fn runtime(&self, name: impl Into<String>, runtime: &Handle) {
        let labels = vec![("runtime", name.into())];
        replace(&mut self.shown.lock().runtimes, labels, runtime.clone());
    }

    /// Shows a server of the runtime that is shown as `runtime`, with the labels `runtime` and
    /// `server`. It takes the place of one that had the same two.
    ///
    /// `figures` is called for each page, on the thread that asks for it, and should not block. A
    /// panic in it goes through to whoever asked.
    pub fn server(
        &self,
        runtime: impl Into<String>,
        name: impl Into<String>,
        figures: impl Fn() -> Metrics + Send + Sync + 'static,
    ) {
        let labels = vec![("runtime", runtime.into()), ("server", name.into())];
        replace(&mut self.shown.lock().servers, labels, Arc::new(figures));
    }

    /// Sets counters and gauges of the installed recorder of the `metrics` crate to what they are
    /// now, and describes them. Does nothing where none is installed.
    ///
    /// To be called when the recorder is asked for its page; what it does not hold is in
    /// [`render_unbridged`](Exporter::render_unbridged).
    pub fn publish(&self) {
        self.write(&mut Bridge);
    }

    /// Everything, as a page in the text format of Prometheus, version 0.0.4 ([`CONTENT_TYPE`]).
    #[must_use]
    pub fn render(&self) -> String {
        self.page(Part::All)
    }

    /// Only what a recorder cannot hold, to be appended to the recorder's own page after
    /// [`publish`](Exporter::publish).
    #[must_use]
    pub fn render_unbridged(&self) -> String {
        self.page(Part::Unbridged)
    }

    fn page(&self, part: Part) -> String {
        let mut page = Page::new(part);
        self.write(&mut page);
        page.into_text()
    }

    fn write(&self, sink: &mut dyn Sink) {
        let shown = self.shown.lock().clone();
        shown.write_process(sink);
        shown.write_runtimes(sink);
        shown.write_servers(sink);
    }
}

impl Shown {
    fn write_process(&self, sink: &mut dyn Sink) {
        write(process::CPU, &[Labelled { labels: Vec::new(), figures: &cpu_time() }], sink);
        // More than half of a page's time is the kernel's, for its own counts.
        if !process::PROCESS.iter().any(|family| sink.takes(&family.about)) {
            return;
        }
        let figures = Process::now();
        write(process::PROCESS, &[Labelled { labels: Vec::new(), figures: &figures }], sink);
    }

    fn write_runtimes(&self, sink: &mut dyn Sink) {
        let all: Vec<_> = self
            .runtimes
            .iter()
            .map(|(labels, runtime)| (labels, RuntimeFigures::of(runtime)))
            .collect();
        let runtimes = all.iter().map(|(labels, figures)| Labelled::new(labels, figures));
        write(runtime::RUNTIME, &runtimes.collect::<Vec<_>>(), sink);
        let workers = all.iter().flat_map(|(labels, figures)| {
            let numbered = figures.metrics.workers.iter().enumerate();
            numbered.map(|(number, worker)| {
                Labelled::new(labels, worker).and("worker", number.to_string())
            })
        });
        write(runtime::WORKER, &workers.collect::<Vec<_>>(), sink);
    }

    fn write_servers(&self, sink: &mut dyn Sink) {
        let all: Vec<_> = self.servers.iter().map(|(labels, read)| (labels, read())).collect();
        let servers = all.iter().map(|(labels, figures)| Labelled::new(labels, figures));
        write(server::SERVER, &servers.collect::<Vec<_>>(), sink);
        let http = all.iter().filter_map(|(labels, figures)| {
            figures.http.as_ref().map(|http| Labelled::new(labels, http))
        });
        write(server::HTTP, &http.collect::<Vec<_>>(), sink);
    }
}

/// Shows `what` under `labels`, instead of what was shown under the same.
fn replace<T>(shown: &mut Vec<(Vec<Label>, T)>, labels: Vec<Label>, what: T) {
    shown.retain(|(others, _)| *others != labels);
    shown.push((labels, what));
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown.lock();
        let runtimes = shown.runtimes.iter().map(|(labels, _)| labels);
        f.debug_struct("Exporter")
            .field("runtimes", &runtimes.collect::<Vec<_>>())
            .field("servers", &shown.servers.iter().map(|(labels, _)| labels).collect::<Vec<_>>())
            .finish()
    }
}
