//! HTTP/2 with clients of other projects: curl, h2load, nghttp.

use std::process::Command;

use heist_tests::{hang_guard, has_tool};
use serde_json::Value;

use crate::certificates::Certificates;
use crate::child::{Outcome, Program, run};
use crate::tools::{NoiseFile, curl};

/// Runs `nghttp` with `arguments`, without its check of certificates.
fn nghttp(arguments: &[&str]) -> Outcome {
    let mut command = Command::new("nghttp");
    let outcome = run(command.args(["--no-verify-peer", "--timeout=60s"]).args(arguments));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome
}

#[test]
fn curl_speaks_http2_without_tls_by_prior_knowledge() {
    let _guard = hang_guard("prior knowledge");
    let name = "curl_speaks_http2_without_tls_by_prior_knowledge";
    if !has_tool(name, "curl", "curl") {
        return;
    }
    let program = Program::start(&["--http2", "--max-body", "8MiB"]);
    let ask = |arguments: &[&str], path: &str| {
        curl(&[&["--http2-prior-knowledge"], arguments, &[&program.url(path)]].concat())
    };
    let page = ask(&["--write-out", "%{http_version}"], "/");
    assert!(page.contains("This is heist") && page.ends_with('2'), "{page}");
    assert_eq!(ask(&["--data", "hello"], "/echo"), "hello");
    let file = NoiseFile::new("curl-h2c", 4_000_000);
    let data = format!("@{}", file.path());
    let receipt: Value = serde_json::from_str(&ask(&["--data-binary", &data], "/upload")).unwrap();
    assert_eq!((&receipt["bytes"], &receipt["sha256"]), (&4_000_000.into(), &file.sha256().into()));
    // The same port still speaks HTTP/1.1, also to a client that offers to upgrade.
    let version = ["--output", "/dev/null", "--write-out", "%{http_code} %{http_version}"];
    for option in ["--http1.1", "--http2"] {
        let plain = curl(&[&version[..], &[option, &program.url("/")]].concat());
        assert_eq!(plain, "200 1.1", "{option}");
    }
}

/// Failure: HTTP/2 is spoken where it was not asked for.
#[test]
fn prior_knowledge_is_refused_unless_it_is_switched_on() {
    let _guard = hang_guard("no prior knowledge");
    let name = "prior_knowledge_is_refused_unless_it_is_switched_on";
    if !has_tool(name, "curl", "curl") {
        return;
    }
    let program = Program::start(&[]);
    let mut command = Command::new("curl");
    command.args(["--silent", "--http2-prior-knowledge", &program.url("/")]);
    let outcome = run(&mut command);
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(program.connect().get("/healthz").status, 200);
}

/// Failure: a connection that has sent no request yet counts as idle since the start of the machine.
#[test]
fn each_connection_by_prior_knowledge_is_answered_within_the_default_limits() {
    let _guard = hang_guard("prior knowledge by default");
    let name = "each_connection_by_prior_knowledge_is_answered_within_the_default_limits";
    if !has_tool(name, "curl", "curl") {
        return;
    }
    let program = Program::start(&["--http2", "--idle-timeout", "60s"]);
    for _ in 0..30 {
        assert_eq!(curl(&["--http2-prior-knowledge", &program.url("/healthz")]), "ok\n");
    }
}

/// Failure: the refusal of a long body does not reach the client. With nghttp: curl 7.88 takes the
/// reset that follows the answer, which is without an error (RFC 9113, 8.1), for an empty reply.
#[test]
fn nghttp_is_told_that_its_body_is_too_long() {
    let _guard = hang_guard("nghttp 413");
    if !has_tool("nghttp_is_told_that_its_body_is_too_long", "nghttp", "nghttp2-client") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&["--max-body", "8MiB"]);
    let file = NoiseFile::new("nghttp-too-long", 9 << 20);
    let data = format!("--data={}", file.path());
    let outcome = nghttp(&["--null-out", "--stat", &data, &program.url("/upload")]);
    assert_eq!(codes(&outcome), ["413"], "{outcome:?}");
    assert_eq!(program.metrics().value("heist_http_requests_total", &[("code", "413")]), 1.0);
}

/// Loads `url` with 100,000 requests, all of which have to be answered with 2xx.
fn load(options: &[&str], url: &str) {
    let mut command = Command::new("h2load");
    command.args(["--requests=100000", "--clients=8"]).args(options).arg(url);
    let outcome = run(&mut command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for line in [
        "requests: 100000 total, 100000 started, 100000 done, 100000 succeeded, 0 failed, 0 errored, \
         0 timeout",
        "status codes: 100000 2xx, 0 3xx, 0 4xx, 0 5xx",
    ] {
        assert!(outcome.stdout.contains(line), "{options:?}: {outcome:?}");
    }
}

#[test]
fn h2load_gets_each_of_100000_answers_in_each_protocol() {
    let _guard = hang_guard("h2load");
    let name = "h2load_gets_each_of_100000_answers_in_each_protocol";
    if !has_tool(name, "h2load", "nghttp2-client") {
        return;
    }
    let certificates = Certificates::new();
    let (tls, plain) = (certificates.start(&[]), Program::start(&["--http2"]));
    for program in [&tls, &plain] {
        load(&["--max-concurrent-streams=32"], &program.url("/"));
        load(&["--h1"], &program.url("/"));
    }
}

/// The status codes in the table that `nghttp --stat` prints.
fn codes(outcome: &Outcome) -> Vec<&str> {
    let (_, table) = outcome.stdout.split_once("request path\n").expect("no table");
    table.lines().filter_map(|row| row.split_whitespace().nth(4)).collect()
}

/// Many requests at once on one connection, in the tree of priorities that nghttp makes.
#[test]
fn nghttp_multiplexes_with_priorities() {
    let _guard = hang_guard("nghttp");
    if !has_tool("nghttp_multiplexes_with_priorities", "nghttp", "nghttp2-client") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    let (page, health) = (program.url("/"), program.url("/healthz"));
    let outcome = nghttp(&[
        "--null-out",
        "--stat",
        "--multiply=50",
        "--weight=7",
        "--weight=200",
        &page,
        &health,
    ]);
    assert_eq!(codes(&outcome), vec!["200"; 100], "{outcome:?}");
    let opened = program.metrics().value("heist_connections_accepted_total", &[]);
    assert_eq!(opened, 1.0);

    // Requests that send, beside each other, with a window that is smaller than the body.
    let file = NoiseFile::new("nghttp", 1_000_000);
    let echo = program.url("/echo");
    let data = format!("--data={}", file.path());
    let outcome =
        nghttp(&["--null-out", "--stat", "--multiply=10", "--window-bits=14", &data, &echo]);
    assert_eq!(codes(&outcome), vec!["200"; 10], "{outcome:?}");
    let lengths = outcome.stdout.matches("976K").count();
    assert_eq!(lengths, 10, "{outcome:?}");
}

#[test]
fn nghttp_sends_trailers_and_is_sent_them_back() {
    let _guard = hang_guard("nghttp trailers");
    if !has_tool("nghttp_sends_trailers_and_is_sent_them_back", "nghttp", "nghttp2-client") {
        return;
    }
    let program = Program::start(&["--http2"]);
    let file = NoiseFile::new("nghttp-trailers", 100_000);
    let data = format!("--data={}", file.path());
    let url = program.url("/echo");
    let outcome =
        nghttp(&["--verbose", "--null-out", &data, "--trailer", "x-checksum: 1a2b", &url]);
    let received = outcome.stdout.lines().filter(|line| line.contains("] recv (stream_id="));
    let received: Vec<_> = received.filter_map(|line| line.split_once(") ")).collect();
    assert!(received.iter().any(|(_, field)| *field == ":status: 200"), "{outcome:?}");
    assert!(received.iter().any(|(_, field)| *field == "x-checksum: 1a2b"), "{outcome:?}");
}

/// Failure: a client that asks in HTTP/1.1 for an upgrade to HTTP/2 gets no answer.
#[test]
fn nghttp_that_asks_for_an_upgrade_is_answered_in_http1() {
    let _guard = hang_guard("h2c upgrade");
    let name = "nghttp_that_asks_for_an_upgrade_is_answered_in_http1";
    if !has_tool(name, "nghttp", "nghttp2-client") {
        return;
    }
    let program = Program::start(&["--http2"]);
    let mut command = Command::new("nghttp");
    let outcome = run(command.args(["--verbose", "--upgrade", "--timeout=60s", &program.url("/")]));
    assert!(outcome.stdout.contains("HTTP/1.1 200 OK"), "{outcome:?}");
}
