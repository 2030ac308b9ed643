//! The systemd units.

use std::fs;
use std::process::Command;

use heist_tests::has_tool;

use super::{CUT, check, read, scratch, seconds};

const SERVICE: &str = "deploy/systemd/heist.service";
const SOCKET: &str = "deploy/systemd/heist.socket";

/// The values of `key` in a unit.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().map(str::trim);
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned).collect()
}

/// The value of a flag in the command that starts heist.
fn flag(unit: &str, flag: &str) -> Vec<String> {
    let command = unit.lines().map(|line| line.trim().trim_end_matches('\\').trim());
    command
        .filter_map(|line| line.strip_prefix(flag)?.strip_prefix(' '))
        .map(str::to_owned)
        .collect()
}

#[test]
fn systemd_has_nothing_to_say_about_the_units() {
    if !has_tool("systemd_has_nothing_to_say_about_the_units", "systemd-analyze", "systemd") {
        return;
    }
    let directory = scratch("units");
    let files = [SERVICE, SOCKET].map(|unit| {
        // The program need not be installed where the test runs.
        let unit_text = read(unit).replace("/usr/local/bin/heist", "/bin/true");
        let file = directory.join(unit.rsplit('/').next().unwrap());
        fs::write(&file, unit_text).unwrap();
        file
    });
    let said = check(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(files));
    // It also reports on units of the machine that heist's depend on.
    assert!(!said.contains("heist"), "{said}");
    fs::remove_dir_all(directory).unwrap();
}

/// Failure: an address that the socket unit does not hold is bound by the service, and closed with
/// it; one that only the socket holds is served although it was not asked for.
#[test]
fn socket_and_service_listen_on_the_same_addresses() {
    let mut held = values(&read(SOCKET), "ListenStream");
    let mut served = flag(&read(SERVICE), "--listen");
    held.sort();
    served.sort();
    assert!(!held.is_empty());
    assert_eq!(held, served);
}

/// Failure: systemd kills a server that still drains.
#[test]
fn systemd_waits_longer_than_a_drain_takes() {
    let service = read(SERVICE);
    let grace = flag(&service, "--grace").pop().expect("the grace is to be seen in the unit");
    let delay = flag(&service, "--drain-delay").pop().map_or(0, |delay| seconds(&delay));
    let patience = values(&service, "TimeoutStopSec").pop().unwrap();
    assert!(seconds(&patience) > delay + seconds(&grace) + CUT);
}
