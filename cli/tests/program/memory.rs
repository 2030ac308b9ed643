//! The memory of a crowd of connections is returned to the system.

use heist_tests::hang_guard;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child::Program;
use heist_tests::http_client::Client;

const CROWD: usize = 800;

/// Connections that have been served once, each in the middle of a long second head.
fn crowd(program: &Program) -> Vec<Client> {
    let mut crowd: Vec<_> = (0..CROWD).map(|_| program.connect()).collect();
    for client in &mut crowd {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        client.send(format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}", "x".repeat(16_000)));
    }
    crowd.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    // All input has been read; 16 bytes of each connection are its first request.
    while program.metrics().value("heist_bytes_read_total", &[]) < (CROWD * 16_000) as f64 {}
    crowd
}

/// Failure 84: a gauge that samples memory misses a crowd that is shorter than its period.
#[test]
fn memory_of_a_short_crowd_goes_back() {
    let _guard = hang_guard("short crowd");
    // The other tests need descriptors, too.
    let all =
        Rlimit { current: getrlimit(Resource::Nofile).maximum, ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, all).unwrap();
    let program = Program::start(&["--max-connections", "2000"]);
    let resident = || program.metrics().value("process_resident_memory_bytes", &[]);
    let before = resident();
    let crowd = crowd(&program);
    let most = resident();
    drop(crowd);
    while program.metrics().value("heist_memory_trims_total", &[]) == 0.0 {}
    // The C library alone returns less than half of it.
    while resident() > before + (most - before) / 4.0 {}
}
