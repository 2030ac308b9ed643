//! What is measured, in which order, and how long that takes.

use crate::measure::figures::Fault;
use crate::measure::row::{Case, Entrant, Row};
use crate::options::{Options, Shape};
use crate::place::Place;
use crate::point::Point;
use crate::topology::Topology;
use crate::workload::Workload;

/// All points of a run.
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) topology: Topology,
    /// By workload, and in each by number of workers.
    pub(crate) workloads: Vec<(Workload, Vec<Vec<Point>>)>,
    rounds: usize,
    seconds: f64,
}

impl Plan {
    pub(crate) fn new(options: &Options, topology: Topology) -> Result<Plan, Fault> {
        let place = options.place(&topology)?;
        let shapes = options.shapes(place.server.len())?;
        let settings = options.settings();
        let points = |workload| {
            let point = |&shape: &Shape| Point { workload, shape, place: place.clone(), settings };
            let groups = shapes.iter().map(|group| group.iter().map(point).collect());
            (workload, groups.collect())
        };
        let workloads = options.workloads().into_iter().map(points).collect();
        Ok(Plan { place, topology, workloads, rounds: options.rounds(), seconds: settings.seconds })
    }

    /// What is to come, for people.
    pub(crate) fn words(&self) -> String {
        let points = self.workloads.iter().flat_map(|(_, groups)| groups).flatten().count();
        let minutes = (points * self.rounds) as f64 * (self.seconds + ASIDE) / 60.0;
        let shared =
            if self.place.shared() { ", shared: nothing here shows how it scales" } else { "" };
        format!(
            "{}\nserver on CPUs {}\nload on CPUs   {}{shared}\n{points} points, {} rounds of {} s \
             each: about {:.1} minutes once all is built, three times that at most if the host \
             steals time",
            self.topology.words(),
            ranges(&self.place.server),
            ranges(&self.place.load),
            self.rounds,
            self.seconds,
            minutes,
        )
    }

    /// A row for each workload, a case for each number of workers, an entrant for each of shards.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.workloads.iter().map(|(workload, groups)| self.row(*workload, groups)).collect()
    }

    fn row(&self, workload: Workload, groups: &[Vec<Point>]) -> Row {
        let entrant = |point: &Point| {
            let auto = if point.shape.auto { " (auto)" } else { "" };
            Entrant::new(format!("{} shards{auto}", point.shape.shards), point.clone())
        };
        let case = |group: &Vec<Point>| Case {
            name: format!("{} workers", group[0].shape.workers),
            entrants: group.iter().map(entrant).collect(),
        };
        Row {
            name: workload.name(),
            workload: workload.words(),
            rounds: self.rounds,
            cases: groups.iter().map(case).collect(),
            goals: Vec::new(),
            charts: &[],
        }
    }
}

/// CPUs as the kernel lists them, in order of their numbers.
pub(crate) fn ranges(cpus: &[usize]) -> String {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|one, next| one + 1 == *next);
    let words = runs.map(|run| match run {
        [one] => one.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    words.collect::<Vec<_>>().join(",")
}

/// Seconds that a visit takes besides: starting, connecting, ending.
const ASIDE: f64 = 0.3;
