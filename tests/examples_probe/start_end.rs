use std::time::Duration;

use heist_tests::hang_guard;

use crate::example::run;

#[test]
fn clients_wait_together_and_waiting_costs_no_cpu() {
    let _guard = hang_guard("start_end");
    // Long enough that a loop in place of a wait would stand out. On a slow machine the first client
    // may end before the last one starts, but not whatever the pause.
    let pauses = [3, 6, 12, 24];
    assert!(pauses.iter().any(|pause| wait_together(*pause)), "no client waits beside another");
}

/// Whether ten clients wait at the same time, and use no CPU that is worth mentioning.
fn wait_together(pause: u32) -> bool {
    let outcome = run("start_end", ["--clients", "10", "--pause", &pause.to_string()]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");

    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let (clients, summary) = lines.split_at(20);
    // Every client has started before the first one ends, so they waited at the same time.
    assert!(summary[0].starts_with("10 clients in "), "{outcome:?}");
    let together = (1..=10).all(|number| {
        clients[..10].contains(&&*format!("client {number}: start"))
            && clients[10..].contains(&&*format!("client {number}: end"))
    });
    // One thread that loops for as long as it waits uses ten times this, on half a CPU still five
    // times.
    together && outcome.cpu_time < Duration::from_secs(pause.into()) / 10
}

#[test]
fn five_hundred_clients_are_all_served() {
    let _guard = hang_guard("start_end");
    let outcome = run("start_end", ["--clients", "500"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    let lines: std::collections::HashSet<&str> = outcome.stdout.lines().collect();
    for number in 1..=500 {
        for word in ["start", "end"] {
            assert!(lines.contains(&*format!("client {number}: {word}")), "{number}: {word}");
        }
    }
    assert_eq!(lines.len(), 1001);
}

#[test]
fn bad_input_is_refused_in_a_line() {
    let _guard = hang_guard("start_end");
    for arguments in [["--clients", "0"], ["--clients", "ten"], ["--pause", "-1"]] {
        let outcome = run("start_end", arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: "), "{outcome:?}");
        assert!(outcome.stdout.is_empty(), "{outcome:?}");
    }
}
