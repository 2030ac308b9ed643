//! Cycles in a directed graph.

use std::collections::{BTreeMap, BTreeSet};

/// The largest sets of nodes each of which leads to each other one of its set.
pub(crate) fn cycles<'a>(
    edges: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<BTreeSet<&'a str>> {
    let mut graph = BTreeMap::<_, BTreeSet<_>>::new();
    for (from, to) in edges {
        graph.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<_, _> =
        graph.keys().map(|&from| (from, reachable(&graph, from))).collect();
    let mut cycles = Vec::<BTreeSet<_>>::new();
    for (&node, below) in &reached {
        let returns = |it: &&str| reached.get(*it).is_some_and(|back| back.contains(node));
        let cycle: BTreeSet<_> = below.iter().copied().filter(returns).collect();
        if cycle.contains(node) && !cycles.contains(&cycle) {
            cycles.push(cycle);
        }
    }
    cycles
}

fn reachable<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(node) = open.pop() {
        for &next in graph.get(node).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}
