//! The outcome of a drain.

use std::fmt;
use std::time::Duration;

use crate::connection::close_reason::CloseKind;
use crate::connection::counts::ClosedCounts;

/// How the connections ended that were open when the server began to drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Finished what they were doing.
    pub finished: u64,
    /// Had nothing to do, and were closed.
    pub idle_closed: u64,
    /// Ended in another way: lost, or by one of the limits.
    pub failed: u64,
    /// Were still busy at the end of the grace, and were force-closed.
    pub force_closed: usize,
    /// How old the force-closed connections were.
    pub force_closed_ages: AgeCounts,
    /// From the call to the end of the last connection, or of the grace and the time that the forced
    /// close took.
    pub took: Duration,
}

impl Report {
    pub(super) fn new(
        closed: ClosedCounts,
        force_closed_ages: AgeCounts,
        took: Duration,
    ) -> Report {
        let of = |kind: CloseKind| closed[kind as usize];
        let finished = of(CloseKind::Drained) + of(CloseKind::Finished);
        let idle_closed = of(CloseKind::IdleDrained);
        let failed = closed.iter().sum::<u64>() - finished - idle_closed;
        let force_closed = force_closed_ages.total();
        Report { finished, idle_closed, failed, force_closed, force_closed_ages, took }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { finished, idle_closed, failed, force_closed, took, .. } = self;
        write!(f, "{finished} finished, {idle_closed} idle closed, ")?;
        if *failed > 0 {
            write!(f, "{failed} failed, ")?;
        }
        write!(f, "{force_closed} force-closed, in {:.3} s", took.as_secs_f64())
    }
}

/// Connections by how long they had been open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgeCounts {
    /// Less than a second old.
    pub below_second: usize,
    /// A second to a minute.
    pub below_minute: usize,
    /// A minute to an hour.
    pub below_hour: usize,
    /// An hour and more.
    pub older: usize,
}

impl AgeCounts {
    pub(super) fn count(&mut self, age: Duration) {
        *match age.as_secs() {
            0 => &mut self.below_second,
            1..60 => &mut self.below_minute,
            60..3600 => &mut self.below_hour,
            _ => &mut self.older,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.below_second + self.below_minute + self.below_hour + self.older
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_one_line_and_names_failures_only_if_there_are() {
        let mut closed = ClosedCounts::default();
        closed[CloseKind::Drained as usize] = 2;
        closed[CloseKind::IdleDrained as usize] = 3;
        let mut ages = AgeCounts::default();
        for seconds in [0, 59, 60, 7200] {
            ages.count(Duration::from_secs(seconds));
        }
        let took = Duration::from_millis(1500);
        let text = Report::new(closed, ages, took).to_string();
        assert_eq!(text, "2 finished, 3 idle closed, 4 force-closed, in 1.500 s");
        closed[CloseKind::Lost as usize] = 1;
        let text = Report::new(closed, AgeCounts::default(), took).to_string();
        assert_eq!(text, "2 finished, 3 idle closed, 1 failed, 0 force-closed, in 1.500 s");
        assert_eq!(
            (ages.below_second, ages.below_minute, ages.below_hour, ages.older),
            (1, 1, 1, 1)
        );
    }
}
