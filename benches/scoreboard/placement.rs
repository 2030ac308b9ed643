//! Which CPUs server and load run on.

use crate::measure::machine::Machine;

/// Which CPUs server and load run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// (a): the server on the first CPU, the load on the second.
    Apart,
    /// (b): both on every CPU.
    Together,
}

impl Placement {
    /// The CPUs of the server, then those of the load.
    pub(crate) fn cpus(self, machine: &Machine) -> (Vec<usize>, Vec<usize>) {
        let all = machine.cpus.clone();
        match (self, &all[..]) {
            (Placement::Apart, [first, second, ..]) => (vec![*first], vec![*second]),
            _ => (all.clone(), all),
        }
    }
}
