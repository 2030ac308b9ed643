//! Tests of the stress run's pure parts, on machines made of files. The run itself has a `main` of its
//! own, so that the test runner does not find tests in it.

mod list;
mod place;
mod topology;

use std::fs;
use std::path::Path;

use list::{cpus, numbers};
use place::{Division, Place};
use topology::Topology;

/// Two nodes of four cores, two threads a core, numbered as many servers do: first one thread of
/// each core, then the others.
fn large(folder: &Path) -> Topology {
    for id in 0..16 {
        let (core, node) = (id % 8, id % 8 / 4);
        write(
            folder,
            &format!("cpu/cpu{id}/topology/thread_siblings_list"),
            &format!("{core},{}", core + 8),
        );
        write(folder, &format!("cpu/cpu{id}/topology/physical_package_id"), &node.to_string());
        let (first, last) = (node * 4, node * 4 + 3);
        let cache = format!("{first}-{last},{}-{}", first + 8, last + 8);
        write(folder, &format!("cpu/cpu{id}/cache/index3/shared_cpu_list"), &cache);
        write(folder, &format!("node/node{node}/cpulist"), &cache);
    }
    Topology::read(folder, &(0..16).collect::<Vec<_>>())
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{text}\n")).unwrap();
}

fn values(text: &str, words: &[(&str, usize)], most: usize) -> Vec<usize> {
    numbers(text, words, most).unwrap().iter().map(|number| number.value).collect()
}

#[test]
fn dots_double_up_to_the_next_number_and_repeat_none() {
    assert_eq!(values("1,2,4,…,all", &[("all", 96)], 96), [1, 2, 4, 8, 16, 32, 64, 96]);
    assert_eq!(values("1,2,4,...,all", &[("all", 2)], 2), [1, 2, 4]);
    assert_eq!(values("auto,1,2,…", &[("auto", 2)], 16), [2, 1, 4, 8, 16]);
}

#[test]
fn list_that_cannot_be_read_names_the_word() {
    assert!(numbers("1,two", &[], 8).unwrap_err().contains("\"two\""));
    assert!(numbers("0", &[], 8).is_err());
    assert!(numbers("…,4", &[], 8).is_err());
    assert!(cpus("0-x").unwrap_err().contains("0-x"));
}

#[test]
fn cpus_are_read_as_the_kernel_writes_them() {
    assert_eq!(cpus("0-2,8\n").unwrap(), [0, 1, 2, 8]);
    assert_eq!(cpus("").unwrap(), Vec::<usize>::new());
}

#[test]
fn growing_server_takes_whole_cores_of_one_node_first() {
    let folder = tempfile::tempdir().unwrap();
    let topology = large(folder.path());
    let ids: Vec<usize> = topology.cpus.iter().map(|cpu| cpu.id).collect();
    assert_eq!(ids, (0..16).collect::<Vec<_>>());
    assert_eq!(topology.words(), "16 CPUs, 8 cores, 2 last caches, 2 packages, 2 NUMA nodes");
}

#[test]
fn load_shares_no_core_with_the_server_and_both_span_the_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let topology = large(folder.path());
    let place = Place::divide(&topology, Division::Auto).unwrap();
    assert_eq!(place.server, [0, 1, 4, 5, 8, 9, 12, 13]);
    assert_eq!(place.load, [2, 3, 6, 7, 10, 11, 14, 15]);
    assert_eq!(place.server_of(2), [0, 1]);
    assert!(!place.shared());
}

#[test]
fn nodes_are_divided_whole() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::divide(&large(folder.path()), Division::Nodes).unwrap();
    assert_eq!(place.server, [0, 1, 2, 3, 8, 9, 10, 11]);
    assert_eq!(place.load, [4, 5, 6, 7, 12, 13, 14, 15]);
}

#[test]
fn machine_that_says_nothing_or_has_little_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let topology = Topology::read(folder.path(), &[0, 1]);
    let place = Place::divide(&topology, Division::Auto).unwrap();
    assert!(place.shared());
    assert_eq!((place.server_of(1), place.load.len()), (&[0, 1][..], 2));
    assert!(Place::divide(&topology, Division::Nodes).is_err());
}

#[test]
fn cpus_given_to_one_leave_the_rest_to_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let topology = large(folder.path());
    let place = Place::given(&topology, Some(vec![1, 2]), None).unwrap();
    assert_eq!((place.server.len(), place.load.len()), (2, 14));
    assert!(Place::given(&topology, Some(vec![77]), None).unwrap_err().contains("77"));
    assert!(Place::given(&topology, Some((0..16).collect()), None).is_err());
}
