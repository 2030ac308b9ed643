//! What a visit brings home, and why it may bring nothing.

use std::collections::BTreeMap;
use std::fmt;

/// Figures of one visit by name; the end of the name is the unit.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Why there are no figures.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A program is not installed; the Debian package that has it.
    Missing { tool: &'static str, package: &'static str },
    /// Something went wrong: what was attempted, on what, and what came of it.
    Failed(String),
}

impl Fault {
    /// For `map_err`: what was attempted, and how it failed.
    pub(crate) fn of<E: fmt::Display>(attempt: impl fmt::Display) -> impl FnOnce(E) -> Fault {
        move |error| Fault::Failed(format!("{attempt}: {error}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing { tool, package } => write!(f, "needs {tool} (Debian: {package})"),
            Fault::Failed(what) => f.write_str(what),
        }
    }
}

/// Figures out of a line of JSON that a program printed.
pub(crate) fn parse(line: &str) -> Result<Figures, Fault> {
    let parsed = serde_json::from_str::<BTreeMap<String, Option<f64>>>(line);
    let figures = parsed.map_err(Fault::of(format!("reading figures from {line:?}")))?;
    Ok(figures.into_iter().filter_map(|(name, figure)| Some((name, figure?))).collect())
}

/// Adds what a request cost: CPU time and context switches.
pub(crate) fn per_request(figures: &mut Figures, cpu: f64, switches: f64) -> Result<(), Fault> {
    let requests = figures.get("requests").copied().unwrap_or(0.0);
    if requests <= 0.0 {
        return Err(Fault::Failed("no request was answered".to_owned()));
    }
    figures.insert("cpu_us".to_owned(), cpu * 1e6 / requests);
    figures.insert("per_cpu_second".to_owned(), requests / cpu);
    figures.insert("switches_per_1000".to_owned(), switches * 1_000.0 / requests);
    Ok(())
}
