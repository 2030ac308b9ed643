//! Memory that a crowd of connections took goes back to the system.

use heist_tests::hang_guard;

use crate::child::Program;
use heist_tests::http_client::Client;

const CROWD: usize = 800;

/// Connections that have been served, and are in the middle of a long head each.
fn crowd(program: &Program) -> Vec<Client> {
    let mut crowd: Vec<_> = (0..CROWD).map(|_| program.connect()).collect();
    for client in &mut crowd {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        client.send(format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}", "x".repeat(16_000)));
    }
    crowd.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    // Each was read from as far as it goes: 16 of these bytes are of its first request.
    while program.figures().value("heist_bytes_read_total", &[]) < (CROWD * 16_000) as f64 {}
    crowd
}

/// Failure 84: a gauge that samples memory misses a crowd that was there for less than its period.
#[test]
fn memory_of_a_short_crowd_goes_back() {
    let _guard = hang_guard("short crowd");
    let program = Program::start(&["--max-connections", "2000"]);
    let resident = || program.figures().value("process_resident_memory_bytes", &[]);
    let before = resident();
    let crowd = crowd(&program);
    let most = resident();
    drop(crowd);
    while program.figures().value("heist_memory_trims_total", &[]) == 0.0 {}
    // The C library alone gives back less than half of it.
    while resident() > before + (most - before) / 4.0 {}
}
