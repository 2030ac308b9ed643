//! What an idle connection costs.

use std::time::Duration;

use super::{Load, Server};
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures};

/// Memory between `few` and `many` connections, after one request each, and then CPU at rest.
#[derive(Clone)]
pub(crate) struct Idle {
    pub(crate) server: Server,
    /// Words in front of those of the load: how requests travel.
    pub(crate) wire: &'static str,
    pub(crate) few: usize,
    pub(crate) many: usize,
    /// How long it is watched at rest.
    pub(crate) seconds: f64,
}

impl Drive for Idle {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let Idle { wire, few, many, seconds, .. } = self;
        let (server, address) = self.server.start(bench)?;
        let words = format!("{wire} hold ADDRESS {few} {many}");
        let mut load = Load::new(self.server, &words).connect(bench, address)?;
        let memory = server.memory()?;
        load.go()?;
        load.line()?;
        let grown = server.memory()? - memory;
        std::thread::sleep(SETTLE);
        let before = server.spent()?;
        std::thread::sleep(Duration::from_secs_f64(*seconds));
        let rest = server.spent()? - before;
        Ok(Figures::from([
            ("bytes".to_owned(), grown / (many - few) as f64),
            ("rest_us".to_owned(), rest.cpu * 1e6 / seconds),
        ]))
    }
}

/// More than a second, for what runs once after work: monitors, timers of the runtime itself.
const SETTLE: Duration = Duration::from_millis(1_200);
