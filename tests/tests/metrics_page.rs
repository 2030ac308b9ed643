//! Promise: heist's metrics and the program's own are on one page, each family once, and Prometheus
//! takes it.

use heist::Runtime;
use heist::export::Exporter;
use heist::net::{TcpListener, TcpStream};
use heist_tests::exposition::{parse, value};
use heist_tests::{hang_guard, has_tool, promtool};
use metrics_exporter_prometheus::PrometheusBuilder;

#[test]
fn one_page_shows_the_figures_of_two_runtimes_and_of_the_program() {
    let _guard = hang_guard("one_page_shows_the_figures_of_two_runtimes_and_of_the_program");
    let (one, two) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    exchange_a_line(&one);
    let exporter = Exporter::new();
    exporter.runtime("one", one.handle());
    exporter.runtime("two", two.handle());

    let page = page_with_recorder(&exporter);
    let families = parse(&page).unwrap_or_else(|wrong| panic!("{wrong}\n{page}"));
    let count = |name, labels: &[(&str, &str)]| value(&families, name, labels);
    assert_eq!(count("orders_total", &[("kind", "tea")]), Some(3.0));
    assert_eq!(count("heist_tasks_spawned_total", &[("runtime", "one")]), Some(1.0));
    assert_eq!(count("heist_tasks_spawned_total", &[("runtime", "two")]), Some(0.0));
    assert_eq!(count("heist_sources", &[("runtime", "two")]), Some(0.0));
    let delivered = [("runtime", "one"), ("kind", "delivered")];
    assert!(count("heist_events_total", &delivered) > Some(0.0));
    assert!(count("heist_task_poll_seconds_count", &[("runtime", "one")]).is_some());
}

#[test]
fn promtool_has_nothing_to_say_about_the_whole_page() {
    let name = "promtool_has_nothing_to_say_about_the_whole_page";
    let _guard = hang_guard(name);
    if !has_tool(name, "promtool", "prometheus") {
        return;
    }
    let runtime = Runtime::new().unwrap();
    exchange_a_line(&runtime);
    let exporter = Exporter::new();
    exporter.runtime("main", runtime.handle());
    for page in [exporter.render(), page_with_recorder(&exporter)] {
        assert_eq!(promtool::complaints(&page), "", "about\n{page}");
    }
}

/// As a program does that counts for itself, with the recorder most in use.
fn page_with_recorder(exporter: &Exporter) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let pages = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("orders_total", "Orders taken.");
        metrics::counter!("orders_total", "kind" => "tea").increment(3);
        exporter.publish();
    });
    pages.render() + &exporter.render_unbridged()
}

/// Something to count: a connection over a real socket.
fn exchange_a_line(runtime: &Runtime) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = runtime.spawn(async move {
            let (mut stream, _peer) = listener.accept().await.unwrap();
            let mut line = [0; 4];
            stream.read_exact(&mut line).await.unwrap();
            stream.write_all(&line).await.unwrap();
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"tea\n").await.unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"tea\n");
        server.await.unwrap();
    });
}
