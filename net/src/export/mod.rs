//! The metrics of runtimes and servers, for Prometheus and for any recorder of the `metrics` crate.
//!
//! # The way of a metric
//!
//! A worker counts an event on a cache line of its own, where the event happens
//! ([`metrics`](heist_scheduler::metrics)). Nothing else is written while the server works. When a
//! page is asked for, [`Exporter`] reads the runtime's
//! [`metrics`](heist_scheduler::Handle::metrics) and each server's, goes through its tables of
//! families (one row for each name), and puts the absolute value of every series on the page or
//! into the recorder.
//!
//! # Two ways to export
//!
//! [`Exporter::render`] returns the whole page, for a program that has no metrics of its own.
//!
//! A program that counts through `metrics` calls [`Exporter::publish`], renders its recorder, and
//! appends [`Exporter::render_unbridged`]: the families that no recorder holds. These are the
//! histograms, of which a recorder needs every single value; the counters of seconds, because a
//! recorder's counters are whole numbers; and the gauge whose series come and go, because a
//! recorder would keep the removed series. So each family is on the page once.
//!
//! Names, units and labels are stable. `docs/metrics.md` lists them, with their costs and the
//! conclusions to draw.
//!
//! ```
//! use heist::Runtime;
//! use heist::export::Exporter;
//!
//! let runtime = Runtime::new()?;
//! let exporter = Exporter::new();
//! exporter.runtime("main", runtime.handle());
//! let page = exporter.render();
//! assert!(page.contains("# TYPE heist_workers gauge\nheist_workers{runtime=\"main\"} "));
//! # Ok::<(), heist::StartError>(())
//! ```

use std::fmt;
use std::sync::Arc;

use heist_scheduler::{Account, Handle};
use parking_lot::Mutex;

use crate::server::Metrics;
use family::{Label, Labelled, Sink, write};
use page::{Page, Part};
use process::{Process, cpu_time};
use recorder::Bridge;
use runtime::{AccountNames, RuntimeMetrics};

mod family;
mod netstat;
mod page;
mod process;
mod recorder;
mod runtime;
mod server;
#[cfg(test)]
mod tests;

/// The content type of the page that [`Exporter::render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Exports the metrics of some runtimes and servers.
///
/// It has no global state, so there may be several. Its methods may be called on any thread, even
/// while every worker is blocked; they take no lock that a worker holds for longer than a few
/// instructions. Values that cannot be read, as where there is no `/proc`, are left out.
#[derive(Default)]
pub struct Exporter {
    /// Holding this = the right to change the list of sources. No metrics are read under it.
    sources: Mutex<Sources>,
}

#[derive(Clone, Default)]
struct Sources {
    runtimes: Vec<(Vec<Label>, Handle)>,
    servers: Vec<(Vec<Label>, Arc<ReadMetrics>)>,
    accounts: AccountNames,
}

type ReadMetrics = dyn Fn() -> Metrics + Send + Sync;

impl Exporter {
    /// An exporter of the process and the kernel, with no runtime yet.
    #[must_use]
    pub fn new() -> Exporter {
        Exporter::default()
    }

    /// Exports `runtime`, with the label `runtime="name"` on all its series, from now on and also
    /// after its end. It replaces a runtime with the same name.
    ///
    /// A recorder's counters never decrease, so give a runtime that follows another in one process
    /// a name of its own.
    pub fn runtime(&self, name: impl Into<String>, runtime: &Handle) {
        let labels = vec![("runtime", name.into())];
        replace(&mut self.sources.lock().runtimes, labels, runtime.clone());
    }

    /// Exports a server of the runtime that is exported as `runtime`, with the labels `runtime` and
    /// `server`. It replaces a server with the same two labels.
    ///
    /// `metrics` is called for each page, on the thread that asks for the page, and should not
    /// block. A panic in it reaches that caller.
    pub fn server(
        &self,
        runtime: impl Into<String>,
        name: impl Into<String>,
        metrics: impl Fn() -> Metrics + Send + Sync + 'static,
    ) {
        let labels = vec![("runtime", runtime.into()), ("server", name.into())];
        replace(&mut self.sources.lock().servers, labels, Arc::new(metrics));
    }

    /// Calls `account` by `name` on the page, whatever its weight, in place of the number that it has there. It
    /// replaces an earlier name, also that of another key whose account it is. Accounts of one name are one series.
    ///
    /// Give names to accounts of a bounded number of keys: a name of each peer would be a series of each.
    ///
    /// ```
    /// use heist::export::Exporter;
    /// use heist::task::Account;
    ///
    /// let exporter = Exporter::new();
    /// for tenant in ["blue", "green"] {
    ///     exporter.account(tenant, Account::shared(tenant));
    /// }
    /// ```
    pub fn account(&self, name: impl Into<String>, account: Account) {
        self.sources.lock().accounts.set(account, name.into());
    }

    /// Sets counters and gauges of the installed recorder of the `metrics` crate to their present
    /// values, and describes them. Does nothing if none is installed.
    ///
    /// Call it when the recorder is asked for its page;
    /// [`render_unbridged`](Exporter::render_unbridged) has the families that the recorder does not
    /// hold.
    pub fn publish(&self) {
        self.write(&mut Bridge);
    }

    /// All families, as a page in the text format of Prometheus, version 0.0.4 ([`CONTENT_TYPE`]).
    #[must_use]
    pub fn render(&self) -> String {
        self.page(Part::All)
    }

    /// Only the families that a recorder cannot hold, to be appended to the recorder's own page
    /// after [`publish`](Exporter::publish).
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
        let sources = self.sources.lock().clone();
        sources.write_process(sink);
        sources.write_runtimes(sink);
        sources.write_servers(sink);
    }
}

impl Sources {
    fn write_process(&self, sink: &mut dyn Sink) {
        write(process::CPU, &[Labelled { labels: Vec::new(), metrics: &cpu_time() }], sink);
        // More than half of the time of a page goes to reading the kernel's counts.
        if !process::PROCESS.iter().any(|family| sink.takes(&family.metadata)) {
            return;
        }
        let metrics = Process::now();
        write(process::PROCESS, &[Labelled { labels: Vec::new(), metrics: &metrics }], sink);
    }

    fn write_runtimes(&self, sink: &mut dyn Sink) {
        let all: Vec<_> = self
            .runtimes
            .iter()
            .map(|(labels, runtime)| (labels, RuntimeMetrics::of(runtime, &self.accounts)))
            .collect();
        let runtimes = all.iter().map(|(labels, metrics)| Labelled::new(labels, metrics));
        write(runtime::RUNTIME, &runtimes.collect::<Vec<_>>(), sink);
        let workers = all.iter().flat_map(|(labels, metrics)| {
            let numbered = metrics.scheduler.workers.iter().enumerate();
            numbered.map(|(number, worker)| {
                Labelled::new(labels, worker).and("worker", number.to_string())
            })
        });
        write(runtime::WORKER, &workers.collect::<Vec<_>>(), sink);
    }

    fn write_servers(&self, sink: &mut dyn Sink) {
        let all: Vec<_> = self.servers.iter().map(|(labels, read)| (labels, read())).collect();
        let servers = all.iter().map(|(labels, metrics)| Labelled::new(labels, metrics));
        write(server::SERVER, &servers.collect::<Vec<_>>(), sink);
        let http = all.iter().filter_map(|(labels, metrics)| {
            metrics.http.as_ref().map(|http| Labelled::new(labels, http))
        });
        write(server::HTTP, &http.collect::<Vec<_>>(), sink);
        let tls = all.iter().filter_map(|(labels, metrics)| {
            metrics.tls.as_ref().map(|tls| Labelled::new(labels, tls))
        });
        write(server::TLS, &tls.collect::<Vec<_>>(), sink);
    }
}

/// Exports `source` under `labels`, and removes a source with the same labels.
fn replace<T>(sources: &mut Vec<(Vec<Label>, T)>, labels: Vec<Label>, source: T) {
    sources.retain(|(others, _)| *others != labels);
    sources.push((labels, source));
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.lock();
        let runtimes = sources.runtimes.iter().map(|(labels, _)| labels);
        f.debug_struct("Exporter")
            .field("runtimes", &runtimes.collect::<Vec<_>>())
            .field("servers", &sources.servers.iter().map(|(labels, _)| labels).collect::<Vec<_>>())
            .finish()
    }
}
