//! Each value under its own name.

use std::collections::BTreeSet;
use std::time::Duration;

use heist_scheduler::{Account, AccountLoad, TaskBuilder};
use heist_tests::exposition::{Family, value};

use super::super::family::{Labelled, write};
use super::super::page::{Page, Part};
use super::super::runtime::{AccountNames, RUNTIME, RuntimeMetrics, WORKER};
use super::super::server::{HTTP, SERVER};
use super::{read, runtime, server_metrics, times};

#[test]
fn each_family_of_a_runtime_shows_its_own_value() {
    let metrics = numbered();
    let mut page = Page::new(Part::All);
    write(RUNTIME, &[Labelled::new(&[], &metrics)], &mut page);
    write(WORKER, &[Labelled::new(&[], &metrics.scheduler.workers[0])], &mut page);
    let mut expected = OF_A_RUNTIME.to_vec();
    expected.push(("heist_sources", None, 0));
    compare(&read(&page.into_text()), &expected);
}

#[test]
fn each_family_of_a_server_shows_its_own_value() {
    let metrics = server_metrics();
    let mut page = Page::new(Part::All);
    write(SERVER, &[Labelled::new(&[], &metrics)], &mut page);
    write(HTTP, &[Labelled::new(&[], metrics.http.as_ref().unwrap())], &mut page);
    compare(&read(&page.into_text()), OF_A_SERVER);
}

fn compare(page: &[Family], expected: &[Expected]) {
    for &(name, label, number) in expected {
        let shown = value(page, name, label.as_slice());
        assert_eq!(shown, Some(number as f64), "{name} {label:?}");
    }
    let shown: BTreeSet<_> = page.iter().map(|family| family.name.as_str()).collect();
    let tested = expected.iter().map(|(name, ..)| name.strip_suffix("_count").unwrap_or(name));
    assert_eq!(shown, tested.collect(), "a family that this test forgot");
}

/// Metrics of one worker, each with a number of its own, so that a mix-up is found.
fn numbered() -> RuntimeMetrics {
    let runtime = runtime(1);
    let tenant = Account::shared("tenant");
    let mut names = AccountNames::default();
    names.set(tenant, "blue".to_owned());
    let is_tenant = |load: &AccountLoad| load.account.index() == tenant.index();
    // A poll is charged behind it.
    let mut metrics = loop {
        let polls = async { (0..100).for_each(|_| drop(std::hint::black_box(vec![0; 1000]))) };
        let task = TaskBuilder::new().account(tenant).spawn_on(runtime.handle(), polls);
        runtime.block_on(task).unwrap();
        let metrics = RuntimeMetrics::of(runtime.handle(), &names);
        if metrics.scheduler.heaviest_accounts.iter().any(is_tenant) {
            break metrics;
        }
    };
    let loads = &mut metrics.scheduler.heaviest_accounts;
    loads.retain(is_tenant);
    loads[0].attained = Duration::from_secs(40);
    // Another account of the same name.
    loads.push(loads[0]);
    loads[1].attained = Duration::from_secs(8);
    let scheduler = &mut metrics.scheduler;
    let one = Duration::from_secs(1);
    (scheduler.injector_depth, scheduler.tasks_alive, scheduler.tasks_spawned) = (1, 2, 3);
    (scheduler.task_panics, scheduler.timers, scheduler.timers_refused) = (4, 5, 6);
    (scheduler.blocking_threads, scheduler.blocking_queue_depth, scheduler.blocking_refused) =
        (7, 8, 9);
    (scheduler.blocking_oldest, scheduler.oldest_runnable) = (10 * one, 11 * one);
    (scheduler.rescues, scheduler.task_poll, scheduler.task_wait) =
        (12, times(13, one), times(14, one));
    (scheduler.event_to_run, scheduler.harvest_size) = (times(15, one), times(16, one));
    (scheduler.timer_lateness, scheduler.blocking_wait) = (times(17, one), times(18, one));
    scheduler.event_queue_delay = times(19, one);
    (scheduler.tasks_refused, scheduler.caught_panics) = (45, 46);
    scheduler.express_wait = times(49, one);
    (scheduler.lookup_threads, scheduler.lookup_queue_depth, scheduler.lookup_refused) =
        (38, 39, 40);
    (scheduler.lookup_oldest, scheduler.lookup_wait) = (41 * one, times(42, one));
    scheduler.overloaded = true;
    scheduler.workers.truncate(1);
    let worker = &mut scheduler.workers[0];
    (worker.polls, worker.busy, worker.listens, worker.parks) = (21, 22 * one, 23, 24);
    (worker.shard_polls, worker.events, worker.stale_events) = (25, 100, 26);
    (worker.spurious_events, worker.useful_wakes, worker.empty_wakes) = (27, 28, 29);
    (worker.steal_hits, worker.steal_misses, worker.stolen_tasks) = (30, 31, 32);
    (worker.budget_yields, worker.shard_errors, worker.queue_depth) = (33, 34, 35);
    (worker.long_polls, worker.preempted_polls, worker.current_poll) = (36, 37, None);
    worker.recoveries = 47;
    (worker.express_polls, worker.express_busy) = (50, 51 * one);
    metrics
}

/// Name, label of the family's own, and the number it was given.
type Expected = (&'static str, Option<(&'static str, &'static str)>, u64);

/// The values of [`numbered`].
const OF_A_RUNTIME: &[Expected] = &[
    ("heist_workers", None, 1),
    ("heist_overloaded", None, 1),
    ("heist_injector_depth", None, 1),
    ("heist_tasks_alive", None, 2),
    ("heist_tasks_spawned_total", None, 3),
    ("heist_task_panics_total", None, 4),
    ("heist_tasks_refused_total", None, 45),
    ("heist_caught_panics_total", None, 46),
    ("heist_timers", None, 5),
    ("heist_timers_refused_total", None, 6),
    ("heist_blocking_threads", None, 7),
    ("heist_blocking_queue_depth", None, 8),
    ("heist_blocking_refused_total", None, 9),
    ("heist_blocking_oldest_seconds", None, 10),
    ("heist_oldest_runnable_seconds", None, 11),
    ("heist_rescues_total", None, 12),
    ("heist_task_poll_seconds_count", None, 13),
    ("heist_task_wait_seconds_count", None, 14),
    ("heist_event_to_run_seconds_count", None, 15),
    ("heist_event_harvest_size_count", None, 16),
    ("heist_timer_lateness_seconds_count", None, 17),
    ("heist_blocking_wait_seconds_count", None, 18),
    ("heist_event_queue_delay_seconds_count", None, 19),
    ("heist_lookup_threads", None, 38),
    ("heist_lookup_queue_depth", None, 39),
    ("heist_lookup_refused_total", None, 40),
    ("heist_lookup_oldest_seconds", None, 41),
    ("heist_lookup_wait_seconds_count", None, 42),
    ("heist_worker_polls_total", None, 21),
    ("heist_worker_busy_seconds_total", None, 22),
    ("heist_worker_parks_total", Some(("where", "kernel")), 23),
    ("heist_worker_parks_total", Some(("where", "parked")), 24),
    ("heist_event_waits_total", Some(("kind", "blocking")), 23),
    ("heist_event_waits_total", Some(("kind", "polling")), 25),
    ("heist_events_total", Some(("kind", "delivered")), 47),
    ("heist_events_total", Some(("kind", "stale")), 26),
    ("heist_events_total", Some(("kind", "spurious")), 27),
    ("heist_wakeups_total", Some(("outcome", "useful")), 28),
    ("heist_wakeups_total", Some(("outcome", "empty")), 29),
    ("heist_steals_total", Some(("outcome", "hit")), 30),
    ("heist_steals_total", Some(("outcome", "miss")), 31),
    ("heist_stolen_tasks_total", None, 32),
    ("heist_budget_yields_total", None, 33),
    ("heist_event_wait_errors_total", None, 34),
    ("heist_worker_queue_depth", None, 35),
    ("heist_worker_long_polls_total", None, 36),
    ("heist_worker_preempted_polls_total", None, 37),
    ("heist_worker_recoveries_total", None, 47),
    ("heist_worker_current_poll_seconds", None, 0),
    ("heist_express_wait_seconds_count", None, 49),
    ("heist_worker_express_polls_total", None, 50),
    ("heist_worker_express_busy_seconds_total", None, 51),
    ("heist_account_attained_seconds", Some(("account", "blue")), 48),
];

/// The values of [`server_metrics`].
const OF_A_SERVER: &[Expected] = &[
    ("heist_connections", Some(("state", "active")), 3),
    ("heist_connections", Some(("state", "idle")), 4),
    ("heist_connections_limit", None, 100),
    ("heist_connections_accepted_total", None, 50),
    ("heist_connections_refused_total", Some(("reason", "per_address")), 6),
    ("heist_connections_refused_total", Some(("reason", "overload")), 7),
    ("heist_connections_closed_total", Some(("reason", "finished")), 40),
    ("heist_connections_closed_total", Some(("reason", "too_slow")), 3),
    ("heist_connection_seconds_count", None, 43),
    ("heist_accept_errors_total", Some(("error", "EMFILE")), 9),
    ("heist_bytes_read_total", None, 1 << 60),
    ("heist_bytes_written_total", None, 11),
    ("heist_buffered_bytes", None, 12),
    ("heist_buffered_limit_bytes", None, 120),
    ("heist_shed_total", Some(("account", "heavy")), 13),
    ("heist_shed_total", Some(("account", "other")), 5),
    ("heist_http_requests_total", Some(("code", "200")), 14),
    ("heist_http_requests_total", Some(("code", "503")), 15),
    ("heist_http_requests_total", Some(("code", "none")), 16),
    ("heist_http_requests_in_flight", None, 2),
    ("heist_http_upgrades_total", None, 17),
    ("heist_http_upgraded_connections", None, 3),
    ("heist_http_request_seconds_count", None, 29),
    ("heist_http_versions_total", Some(("version", "1")), 50),
    ("heist_http_versions_total", Some(("version", "2")), 17),
    ("heist_http2_streams", None, 18),
    ("heist_http2_resets_total", Some(("by", "peer")), 19),
    ("heist_http2_resets_total", Some(("by", "server")), 20),
    ("heist_http2_goaways_total", None, 21),
    ("heist_http2_violations_total", Some(("kind", "pings")), 22),
    ("heist_http2_violations_total", Some(("kind", "resets")), 23),
];
