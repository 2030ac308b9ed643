//! WebSocket with clients of other projects: websockets for Python, Chromium, the cases of Autobahn.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use heist_tests::python::python_with;
use heist_tests::{hang_guard, has_tool};
use rustix::process::Signal;
use serde_json::Value;

use crate::certificates::Certificates;
use crate::child::{Program, run};

/// The URL of the echo.
fn echo(program: &Program) -> String {
    program.url("/ws").replacen("http", "ws", 1)
}

/// The SHA-256 of the server's public key in Base64: the pin by which Chromium is told to accept it.
fn pin(certificates: &Certificates) -> String {
    let script = "openssl x509 -in \"$0\" -pubkey -noout | openssl pkey -pubin -outform der \
                  | openssl dgst -sha256 -binary | openssl base64";
    let mut shell = Command::new("sh");
    let outcome = run(shell.args(["-c", script, &certificates.path("certificate.pem")]));
    outcome.stdout.trim().to_owned()
}

/// A command that runs the script `name` of this directory.
fn script(mut python: Command, name: &str) -> Command {
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program").join(name));
    python.stdin(Stdio::null());
    python
}

#[test]
fn websockets_of_python_is_echoed_with_and_without_tls() {
    let _guard = hang_guard("websockets");
    let name = "websockets_of_python_is_echoed_with_and_without_tls";
    let certificates = Certificates::new();
    for (program, authority) in
        [(Program::start(&[]), None), (certificates.start(&[]), Some(certificates.authority()))]
    {
        for what in ["echo", "crowd"] {
            let Some(python) = python_with(name, "websockets") else { return };
            let mut client = script(python, "websocket_client.py");
            client.args([what, &echo(&program)]).args(authority.as_deref());
            let outcome = run(&mut client);
            assert_eq!(outcome.code, Some(0), "{what}: {outcome:?}");
        }
        let open = |state| program.metrics().value("heist_connections", &[("state", state)]);
        while open("active") + open("idle") > 0.0 {}
        program.signal(Signal::TERM);
        let outcome = program.wait();
        assert!(outcome.stdout.contains(", 0 force-closed, "), "{outcome:?}");
    }
}

/// Failure: a drain does not see a WebSocket, and cuts it off or waits for it in vain.
#[test]
fn drain_closes_a_websocket_in_order() {
    let _guard = hang_guard("drain of a WebSocket");
    let certificates = Certificates::new();
    let name = "drain_closes_a_websocket_in_order";
    let Some(python) = python_with(name, "websockets") else { return };
    let program = certificates.start(&["--grace", "60s"]);
    let mut client = script(python, "websocket_client.py");
    client.args(["drain", &echo(&program), &certificates.authority()]);
    let mut client = client.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("connected"));
    program.signal(Signal::TERM);
    // 1001: going away.
    assert_eq!(lines.next().as_deref(), Some("closed 1001"));
    assert!(client.wait().unwrap().success());
    let outcome = program.wait();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains(", 0 force-closed, "), "{outcome:?}");
}

/// Failure 64: a message that is too long, or fragments without end, take all memory.
#[test]
fn message_beyond_the_bound_ends_its_websocket() {
    let _guard = hang_guard("message too long");
    let name = "message_beyond_the_bound_ends_its_websocket";
    let program = Program::start(&["--max-message", "64KiB"]);
    for what in ["too_long", "too_many_fragments"] {
        let Some(python) = python_with(name, "websockets") else { return };
        let outcome = run(script(python, "websocket_client.py").args([what, &echo(&program)]));
        assert_eq!(outcome.code, Some(0), "{what}: {outcome:?}");
    }
    let closed =
        || program.metrics().value("heist_connections_closed_total", &[("reason", "protocol")]);
    while closed() != 2.0 {}
    assert_eq!(program.metrics().value("heist_buffered_bytes", &[]), 0.0);
}

/// What the page does in Chromium.
const PAGE: &str = r#"(async () => {
    const socket = new WebSocket(`wss://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
    const ask = message => new Promise((resolve, reject) => {
        socket.onmessage = event => resolve(event.data);
        socket.onclose = event => reject(`closed with ${event.code}`);
        socket.send(message);
    });
    const text = await ask("hello from a page");
    const bytes = new Uint8Array(await ask(new Uint8Array(300000).fill(7)));
    const closed = new Promise(resolve => { socket.onclose = resolve; });
    socket.close(4001, "done");
    const { code, reason, wasClean } = await closed;
    const posted = await fetch("/upload", { method: "POST", body: new Uint8Array(2000000) });
    return {
        page: document.body.innerText.split("\n")[0],
        protocol: performance.getEntriesByType("navigation")[0].nextHopProtocol,
        secure: window.isSecureContext,
        text,
        bytes: [bytes.length, bytes.every(byte => byte === 7)],
        closed: [code, reason, wasClean],
        uploaded: (await posted.json()).bytes,
    };
})()"#;

#[test]
fn chromium_opens_a_websocket_from_a_page_over_tls() {
    let _guard = hang_guard("chromium");
    let name = "chromium_opens_a_websocket_from_a_page_over_tls";
    if !has_tool(name, "chromium", "chromium") || !has_tool(name, "openssl", "openssl") {
        return;
    }
    let certificates = Certificates::new();
    for (options, protocol) in [(&[][..], "h2"), (&["--http2=none"], "http/1.1")] {
        let Some(python) = python_with(name, "websockets") else { return };
        let program = certificates.start(options);
        let mut chromium = script(python, "chromium.py");
        let outcome = run(chromium.args([&program.url("/"), &pin(&certificates), PAGE]));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let first =
            "This is heist, a work-stealing, edge-triggered server core, serving HTTP with hyper.";
        let expected = serde_json::json!({
            "page": first,
            "protocol": protocol,
            "secure": true,
            "text": "hello from a page",
            "bytes": [300_000, true],
            "closed": [4001, "done", true],
            "uploaded": 2_000_000,
        });
        assert_eq!(report, expected);
    }
}

/// Autobahn's cases that do not apply, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("12.*", "the server does not agree on compression"),
    ("13.*", "the server does not agree on compression"),
];

/// Each case that applies passes: the outcome is `OK`, or one that the standard leaves open
/// (`NON-STRICT`, `INFORMATIONAL`).
#[test]
fn cases_of_autobahn_pass() {
    let _guard = hang_guard("Autobahn");
    let Some(mut kosoku) = python_with("cases_of_autobahn_pass", "kosoku") else { return };
    let certificates = Certificates::new();
    // As long as the longest message of the cases.
    let program = Program::start(&["--max-message", "16MiB"]);
    let reports = certificates.path("autobahn");
    kosoku.args(["-c", "import kosoku._cli; kosoku._cli.main()", "--outdir", &reports]);
    for (cases, _) in LEFT_OUT {
        kosoku.args(["--exclude", cases]);
    }
    let outcome = run(kosoku.arg(echo(&program)).stdin(Stdio::null()));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let index = std::fs::read_to_string(Path::new(&reports).join("index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let agents = index.as_object().unwrap();
    let cases: usize = agents.values().map(|cases| cases.as_object().unwrap().len()).sum();
    assert_eq!(cases, 301, "{outcome:?}");
}
