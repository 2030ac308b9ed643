//! Pages, methods, and several requests on one connection.

use heist_tests::{exposition, hang_guard};

use crate::child::Program;

#[test]
fn index_tells_the_routes_and_the_connection_stays_open() {
    let _guard = hang_guard("index");
    let program = Program::start(&[]);
    let mut client = program.connect();
    for _ in 0..3 {
        let response = client.get("/");
        assert_eq!(response.status, 200);
        assert!(response.headers["content-type"].starts_with("text/plain"));
        assert!(response.text().contains("POST /upload"), "{}", response.text());
    }
    assert_eq!(client.get("/healthz").text(), "ok\n");
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let _guard = hang_guard("head");
    let program = Program::start(&[]);
    let mut client = program.connect();
    let length = client.get("/").body.len().to_string();
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    let (status, headers) = client.head();
    assert_eq!((status, &headers["content-length"]), (200, &length));
    // A body would come before this.
    assert_eq!(client.get("/healthz").status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let _guard = hang_guard("pipelined");
    let program = Program::start(&[]);
    let mut client = program.connect();
    client.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n");
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let statuses = [(); 3].map(|()| client.response().status);
    assert_eq!(statuses, [200, 404, 200]);
}

#[test]
fn wrong_method_is_told_the_right_ones() {
    let _guard = hang_guard("methods");
    let program = Program::start(&[]);
    for (method, path, allowed) in [
        ("PUT", "/upload", "POST"),
        ("GET", "/echo", "POST"),
        ("DELETE", "/", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ] {
        let mut client = program.connect();
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"));
        let response = client.response();
        assert_eq!((response.status, response.headers["allow"].as_str()), (405, allowed));
    }
    assert_eq!(program.connect().get("/nowhere").status, 404);
    let mut client = program.connect();
    client.send("OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n");
    let (status, headers) = client.head();
    assert_eq!((status, headers["allow"].as_str()), (204, "GET, HEAD, POST, OPTIONS"));
}

#[test]
fn body_that_no_route_reads_does_not_become_the_next_request() {
    let _guard = hang_guard("unread body");
    let program = Program::start(&[]);
    let mut client = program.connect();
    let body = "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n".repeat(10_000);
    let length = body.len();
    client.send(format!("POST /nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n"));
    let _ = client.try_send(body);
    assert_eq!(client.response().status, 404);
    assert_eq!(client.rest().0, b"");
}

#[test]
fn heads_beyond_the_bounds_are_refused() {
    let _guard = hang_guard("heads");
    let program = Program::start(&[]);
    let long = format!("X: {}\r\n", "x".repeat(20_000));
    let many = (0..120).map(|index| format!("X-{index}: x\r\n")).collect::<String>();
    for (fields, status) in [(long, 431), (many, 431), ("no colon\r\n".to_owned(), 400)] {
        let mut client = program.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: t\r\n{fields}\r\n"));
        assert_eq!(client.response().status, status);
        assert_eq!(client.rest().0, b"");
    }
    assert_eq!(program.connect().get("/").status, 200);
}

#[test]
fn metrics_are_well_formed_and_count_what_happened() {
    let _guard = hang_guard("metrics");
    let program = Program::start(&["--workers", "2", "--public-metrics"]);
    let mut client = program.connect();
    for _ in 0..3 {
        client.get("/");
    }
    client.get("/nowhere");
    let page = client.get("/metrics");
    assert!(page.headers["content-type"].contains("version=0.0.4"));
    let series = |page: &str| {
        let families = exposition::parse(page).unwrap();
        move |name: &str, labels: &[(&str, &str)]| {
            exposition::value(&families, name, labels).unwrap_or_else(|| panic!("{name}"))
        }
    };
    let figure = series(page.text());
    assert_eq!(figure("heist_workers", &[("runtime", "main")]), 2.0);
    assert_eq!(figure("heist_http_requests_total", &[("code", "200")]), 3.0);
    assert_eq!(figure("heist_http_requests_total", &[("code", "404")]), 1.0);
    // The connection that reads the page.
    assert_eq!(figure("heist_http_requests_in_flight", &[("server", "http")]), 1.0);
    assert_eq!(figure("heist_connections_accepted_total", &[("server", "http")]), 1.0);
    assert_eq!(figure("heist_http_request_seconds_count", &[]), 4.0);
    assert!(figure("heist_tasks_spawned_total", &[]) >= 2.0);
    assert!(figure("heist_worker_busy_seconds_total", &[("worker", "0")]) >= 0.0);
    assert_eq!(figure("heist_log_lines_dropped_total", &[]), 0.0);
    let again = series(client.get("/metrics").text());
    assert_eq!(again("heist_http_requests_total", &[("code", "200")]), 4.0);
}

/// Failure: the metrics are public by default.
#[test]
fn metrics_are_public_only_if_asked_for() {
    let _guard = hang_guard("public metrics");
    let program = Program::start(&[]);
    let mut client = program.connect();
    assert_eq!(client.get("/metrics").status, 404);
    assert!(!client.get("/").text().contains("/metrics"));
    let program = Program::start(&["--public-metrics"]);
    let mut client = program.connect();
    assert_eq!(client.get("/metrics").status, 200);
    assert!(client.get("/").text().contains("/metrics"));
    client.send("POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().status, 405);
}
