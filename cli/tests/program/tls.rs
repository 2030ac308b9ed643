//! TLS with clients of other projects: curl, OpenSSL, testssl.sh, wrk, slowhttptest.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use heist_tests::{hang_guard, has_tool};
use rustix::process::Signal;
use serde_json::Value;

use crate::certificates::Certificates;
use crate::child::{Program, command, run};
use crate::starting::assert_refused;
use crate::tools::{NoiseFile, curl};

/// Runs `openssl s_client` on `program` with `options` and `input`, and returns what it prints. With
/// the option `-ign_eof` it waits for the end of the connection instead of that of its input.
fn s_client(certificates: &Certificates, program: &Program, options: &str, input: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-verify_return_error", "-CAfile", &certificates.authority()]);
    command.args(["-connect", &program.address().to_string()]).args(options.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have ended with an error already.
    let _ = stdin.write_all(input.as_bytes());
    // A command to it, not data to send: it has to answer before its input ends.
    let stdin = (input == RENEGOTIATE).then_some(stdin);
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed + &String::from_utf8_lossy(&output.stderr)
}

/// A request whose answer ends the connection.
const LAST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What `openssl s_client` takes for the wish to renegotiate.
const RENEGOTIATE: &str = "R\n";

#[track_caller]
fn assert_says(printed: &str, words: &[&str]) {
    assert!(words.iter().all(|word| printed.contains(word)), "{words:?} not in {printed}");
}

#[test]
fn curl_reads_echoes_and_uploads_over_tls() {
    let _guard = hang_guard("curl over TLS");
    if !has_tool("curl_reads_echoes_and_uploads_over_tls", "curl", "curl") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&["--max-body", "8MiB"]);
    assert!(program.greeting.contains("try: curl --insecure https://"), "{}", program.greeting);
    let authority = certificates.authority();
    let file = NoiseFile::new("curl-tls", 4_000_000);
    let version = ["--write-out", "%{http_version} %{ssl_verify_result}"];
    for (options, is) in [
        (&["--http1.1"][..], "1.1 0"),
        (&["--http1.1", "--tls-max", "1.2"], "1.1 0"),
        (&["--http2"], "2 0"),
        (&["--http2", "--tls-max", "1.2"], "2 0"),
    ] {
        let ask = |arguments: &[&str], path: &str| {
            let options = [options, &["--cacert", &authority], arguments].concat();
            curl(&[&options[..], &[&program.url(path)]].concat())
        };
        let page = ask(&version, "/");
        assert!(page.contains("This is heist") && page.ends_with(is), "{options:?}: {page}");
        assert_eq!(ask(&["--data", "hello"], "/echo"), "hello");
        let data = format!("@{}", file.path());
        for arguments in [
            &["--data-binary", &data][..],
            &["--data-binary", &data, "--header", "Transfer-Encoding: chunked"],
            &["--data-binary", &data, "--header", "Expect: 100-continue"],
            &["--data-binary", &data, "--header", "Expect:"],
        ] {
            let receipt: Value = serde_json::from_str(&ask(arguments, "/upload")).unwrap();
            assert_eq!(receipt["bytes"], 4_000_000, "{options:?} {arguments:?}");
            assert_eq!(receipt["sha256"], file.sha256(), "{options:?} {arguments:?}");
        }
        // In HTTP/2 curl 7.88 does not see an answer that comes before the end of its body.
        if options.contains(&"--http2") {
            continue;
        }
        let too_long = NoiseFile::new("curl-tls-too-long", 9 << 20);
        let data = format!("@{}", too_long.path());
        let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
        let expect = ["--header", "Expect: 100-continue", "--data-binary", &data];
        assert_eq!(ask(&[&status[..], &expect].concat(), "/upload"), "413", "{options:?}");
    }
}

/// Failure: a client that leaves in the middle of an answer or of a body is served on.
#[test]
fn curl_that_closes_early_over_tls_frees_its_connection() {
    let _guard = hang_guard("curl closes early");
    if !has_tool("curl_that_closes_early_over_tls_frees_its_connection", "curl", "curl") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    let file = NoiseFile::new("curl-tls-early", 32 << 20);
    for version in ["--http1.1", "--http2"] {
        // `head` takes the first bytes of the echo; curl's next write fails, and it closes.
        let script =
            "curl --silent \"$0\" --cacert \"$1\" --data-binary \"@$2\" \"$3\" | head -c 9";
        let mut shell = Command::new("sh");
        let echo = program.url("/echo");
        shell.args(["-c", script, version, &certificates.authority(), file.path(), &echo]);
        assert_eq!(shell.stdin(Stdio::null()).output().unwrap().stdout.len(), 9);

        let mut upload = Command::new("curl");
        upload.args(["--silent", version, "--cacert", &certificates.authority()]);
        upload.args(["--upload-file", "-", "--request", "POST", &program.url("/upload")]);
        let mut upload = upload.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        upload.stdin.as_mut().unwrap().write_all(&[b'x'; 100_000]).unwrap();
        let in_flight = || program.metrics().value("heist_http_requests_in_flight", &[]);
        while in_flight() == 0.0 {}
        upload.kill().unwrap();
        upload.wait().unwrap();
        while in_flight() > 0.0 {}
    }
    let open = |state| program.metrics().value("heist_connections", &[("state", state)]);
    while open("active") + open("idle") > 0.0 {}
    program.signal(Signal::TERM);
    let outcome = program.wait();
    assert!(outcome.stdout.contains(", 0 force-closed, "), "{outcome:?}");
}

#[test]
fn curl_resumes_its_session() {
    let _guard = hang_guard("curl resumes");
    if !has_tool("curl_resumes_its_session", "curl", "curl") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    // TLS 1.3 alone: in 1.2 curl does not offer the extension for tickets.
    let mut command = Command::new("curl");
    command.args(["--silent", "--verbose", "--http1.1", "--header", "Connection: close"]);
    command.args(["--cacert", &certificates.authority()]);
    let outcome = run(command.args([program.url("/"), program.url("/healthz")]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.ends_with("ok\n"), "{outcome:?}");
    assert_says(&outcome.stderr, &["SSL re-using session ID"]);
    let resumed = [("version", "1.3"), ("resumed", "yes")];
    assert_eq!(program.metrics().value("heist_tls_handshakes_total", &resumed), 1.0);
}

#[test]
fn openssl_speaks_both_versions_and_resumes() {
    let _guard = hang_guard("openssl");
    if !has_tool("openssl_speaks_both_versions_and_resumes", "openssl", "openssl") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    for version in ["1_2", "1_3"] {
        let session = certificates.path(&format!("session-{version}"));
        let fresh = format!("-tls{version} -ign_eof -servername localhost -sess_out {session}");
        let printed = s_client(&certificates, &program, &fresh, LAST);
        let protocol = format!("TLSv{}", version.replace('_', "."));
        let verified = "Verify return code: 0 (ok)";
        assert_says(&printed, &["New, ", &protocol, verified, "This is heist"]);
        let again = format!("-tls{version} -ign_eof -servername localhost -sess_in {session}");
        let printed = s_client(&certificates, &program, &again, LAST);
        assert_says(&printed, &["Reused, ", &protocol, "This is heist"]);
    }
}

#[test]
fn openssl_is_refused_what_is_obsolete_or_unsafe() {
    let _guard = hang_guard("openssl refused");
    if !has_tool("openssl_is_refused_what_is_obsolete_or_unsafe", "openssl", "openssl") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    let ask = |options: &str, input: &str| s_client(&certificates, &program, options, input);
    // Its hello has no signature algorithms, which is what the refusal names first.
    let old = ask("-tls1_1 -cipher ALL:@SECLEVEL=0", "");
    assert_says(&old, &["alert handshake failure", "Cipher is (NONE)"]);
    assert_says(&ask("-tls1_2 -cipher AES128-SHA:@SECLEVEL=0", ""), &["alert handshake failure"]);
    let renegotiated = ask("-tls1_2", RENEGOTIATE);
    assert_says(&renegotiated, &["RENEGOTIATING", "no renegotiation"]);
    // Early data can be replayed.
    let session = certificates.path("session-early");
    let printed = ask(&format!("-tls1_3 -ign_eof -sess_out {session}"), LAST);
    assert_says(&printed, &["Max Early Data: 0"]);
    let request = certificates.path("request");
    std::fs::write(&request, LAST).unwrap();
    let early = format!("-tls1_3 -sess_in {session} -early_data {request}");
    assert_says(&ask(&early, ""), &["Early data was not sent"]);
    assert_eq!(program.metrics().value("heist_http_requests_total", &[("code", "200")]), 1.0);
}

#[test]
fn openssl_agrees_on_a_protocol_by_alpn() {
    let _guard = hang_guard("openssl ALPN");
    if !has_tool("openssl_agrees_on_a_protocol_by_alpn", "openssl", "openssl") {
        return;
    }
    let certificates = Certificates::new();
    for (options, both) in [(&[][..], "h2"), (&["--http2=none"], "http/1.1")] {
        let program = certificates.start(options);
        let ask = |alpn: &str| s_client(&certificates, &program, alpn, "");
        let both = format!("ALPN protocol: {both}\n");
        assert_says(&ask("-alpn h2,http/1.1"), &[&both]);
        assert_says(&ask("-alpn http/1.1,h2"), &[&both]);
        for one in ["http/1.1", "http/1.0"] {
            assert_says(&ask(&format!("-alpn {one}")), &[&format!("ALPN protocol: {one}\n")]);
        }
        assert_says(&ask(""), &["No ALPN negotiated", "Verify return code: 0 (ok)"]);
        assert_says(&ask("-alpn spdy/3"), &["alert no application protocol"]);
    }
}

/// Failure: a name that the certificate does not have ends the handshake, or one without a name.
#[test]
fn openssl_is_given_the_certificate_whatever_name_it_asks_for() {
    let _guard = hang_guard("openssl SNI");
    let name = "openssl_is_given_the_certificate_whatever_name_it_asks_for";
    if !has_tool(name, "openssl", "openssl") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    for name in ["-servername localhost", "-servername elsewhere.example", "-noservername"] {
        let printed = s_client(&certificates, &program, name, "");
        assert_says(&printed, &["subject=CN = localhost", "Verify return code: 0 (ok)"]);
    }
}

/// What testssl.sh may report above LOW, with the reason; nothing yet.
const ACCEPTED: &[&str] = &[];

#[test]
fn testssl_finds_nothing_above_low() {
    let _guard = hang_guard("testssl");
    if !has_tool("testssl_finds_nothing_above_low", "testssl", "testssl.sh") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    let report = certificates.path("testssl.json");
    let mut command = Command::new("testssl");
    command.args(["-p", "-s", "-f", "-U", "--warnings", "off", "--color", "0", "--quiet"]);
    command.args(["--ip", "one", "--add-ca", &certificates.authority(), "--jsonfile", &report]);
    let outcome = run(command.arg(program.url("/")).stdin(Stdio::null()));
    let report = std::fs::read_to_string(report).unwrap();
    let findings: Vec<Value> = serde_json::from_str(&report).unwrap();
    let finding = |id: &str| findings.iter().find(|finding| finding["id"] == id);
    for id in ["SSLv3", "TLS1_2", "TLS1_3", "cipherlist_NULL", "heartbleed", "RC4", "scanTime"] {
        assert!(finding(id).is_some(), "{id} was not tested: {outcome:?}");
    }
    assert_eq!(finding("TLS1_3").unwrap()["finding"], "offered with final");
    let harmless = ["OK", "INFO", "LOW"];
    let bad = findings.iter().filter(|finding| {
        let (id, severity) =
            (finding["id"].as_str().unwrap(), finding["severity"].as_str().unwrap());
        // Of testssl.sh itself: the system's OpenSSL has no GOST engine.
        id != "engine_problem" && !harmless.contains(&severity) && !ACCEPTED.contains(&id)
    });
    assert_eq!(bad.collect::<Vec<_>>(), Vec::<&Value>::new());
}

#[test]
fn wrk_loads_over_tls_without_an_error() {
    let _guard = hang_guard("wrk over TLS");
    if !has_tool("wrk_loads_over_tls_without_an_error", "wrk", "wrk") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&[]);
    let outcome = run(Command::new("wrk").args([
        "-t1",
        "-c16",
        "-d1s",
        "--timeout",
        "60s",
        &program.url("/"),
    ]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("requests in"), "{outcome:?}");
    assert!(!outcome.stdout.contains("Socket errors"), "{outcome:?}");
    assert!(!outcome.stdout.contains("Non-2xx"), "{outcome:?}");
}

/// The serial number of the certificate that a new connection is given.
fn serial(certificates: &Certificates, program: &Program) -> String {
    let printed = s_client(certificates, program, "-servername localhost", "");
    let begin = printed.find("-----BEGIN CERTIFICATE-----").expect("no certificate");
    let mut x509 = Command::new("openssl");
    let x509 = x509.args(["x509", "-noout", "-serial"]).stdin(Stdio::piped());
    let mut x509 = x509.stdout(Stdio::piped()).spawn().unwrap();
    x509.stdin.take().unwrap().write_all(&printed.as_bytes()[begin..]).unwrap();
    let output = x509.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().trim_start_matches("serial=").to_owned()
}

/// Failure: a certificate is renewed, and connections are given the old one until a restart; or a
/// broken file ends the service.
#[test]
fn renewed_certificate_is_used_after_sighup_and_a_broken_one_is_not() {
    let _guard = hang_guard("SIGHUP with TLS");
    let name = "renewed_certificate_is_used_after_sighup_and_a_broken_one_is_not";
    if !has_tool(name, "openssl", "openssl") {
        return;
    }
    let certificates = Certificates::new();
    let mut program = certificates.start(&[]);
    let reloads = |program: &Program, outcome| {
        let labels = [("what", "certificates"), ("outcome", outcome)];
        program.metrics().value("heist_reloads_total", &labels)
    };
    assert_eq!(serial(&certificates, &program), "01");
    assert_eq!((reloads(&program, "done"), reloads(&program, "failed")), (0.0, 0.0));

    certificates.issue(2);
    assert_eq!(serial(&certificates, &program), "01");
    program.signal(Signal::HUP);
    assert!(program.error_line_with("reloaded").contains("certificates"));
    while reloads(&program, "done") != 1.0 {}
    assert_eq!(serial(&certificates, &program), "02");

    let key = std::fs::read_to_string(certificates.path("key.pem")).unwrap();
    certificates.issue(3);
    certificates.write("key.pem", &key);
    for (number, (file, text)) in
        [("key.pem", key.as_str()), ("key.pem", ""), ("certificate.pem", "nothing")]
            .iter()
            .enumerate()
    {
        certificates.write(file, text);
        program.signal(Signal::HUP);
        let line = program.error_line_with("cannot reload");
        assert!(line.contains(&certificates.path("")), "{line}");
        while reloads(&program, "failed") != (number + 1) as f64 {}
        assert_eq!(serial(&certificates, &program), "02");
    }

    certificates.issue(4);
    program.signal(Signal::HUP);
    program.error_line_with("reloaded");
    while reloads(&program, "done") != 2.0 {}
    assert_eq!(serial(&certificates, &program), "04");
}

/// Failure: the program starts without TLS, or does not say which file is wrong.
#[test]
fn certificates_that_cannot_be_used_are_named_with_exit_code_2() {
    let _guard = hang_guard("bad certificates");
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| certificates.path(name));
    let refuse = |certificate: &str, key: &str, words: &[&str]| {
        let mut command = command();
        command.args(["--listen", "127.0.0.1:0", "--admin", "none"]);
        assert_refused(
            command.args(["--tls-cert", certificate, "--tls-key", key]),
            &[words, &["--tls-cert"]].concat(),
        );
    };
    let missing = certificates.path("missing.pem");
    refuse(&missing, &key, &[&missing, "cannot read"]);
    refuse(&certificate, &missing, &[&missing, "cannot read"]);
    refuse(&key, &key, &[&key, "BEGIN CERTIFICATE"]);
    refuse(&certificate, &certificate, &[&certificate, "BEGIN PRIVATE KEY"]);
    let other = others.path("key.pem");
    refuse(&certificate, &other, &[&certificate, &other, "does not belong"]);
    assert_refused(command().args(["--tls-cert", &certificate]), &["--tls-key"]);
    assert_refused(command().args(["--tls-key", &key]), &["--tls-cert"]);
}

/// The first bytes of a handshake, as a client sends them: half a ClientHello.
const HALF: &[u8] =
    &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 1, 2, 3, 4, 5, 6, 7, 8];

/// Failure 63: handshakes that stall hold connections and memory, and keep others out.
#[test]
fn stalled_handshakes_end_and_healthy_requests_are_answered() {
    let _guard = hang_guard("stalled handshakes");
    let name = "stalled_handshakes_end_and_healthy_requests_are_answered";
    if !has_tool(name, "curl", "curl") {
        return;
    }
    let certificates = Certificates::new();
    let program = certificates.start(&["--handshake-timeout", "5s"]);
    let address = program.address();
    let stall = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let timed_out = || {
        let labels = [("reason", "handshake_timeout")];
        program.metrics().value("heist_connections_closed_total", &labels)
    };
    let authority = certificates.authority();
    let ask = || curl(&["--cacert", &authority, &program.url("/healthz")]);
    assert_eq!(ask(), "ok\n");
    let (mut stalled, mut before) = (0, None);
    for _ in 0..3 {
        let streams: Vec<_> =
            (0..500).map(|index| stall(if index % 2 == 0 { &[] } else { HALF })).collect();
        stalled += streams.len();
        assert_eq!(ask(), "ok\n");
        for mut stream in streams {
            // An end, in order or not, and no answer before it but an alert.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            assert!(rest.len() < 100, "{rest:?}");
        }
        while timed_out() < stalled as f64 {}
        assert_eq!(ask(), "ok\n");
        // Memory of the first crowd may be kept for the next one, but it does not grow.
        let resident = program.metrics().value("process_resident_memory_bytes", &[]);
        let bound = *before.get_or_insert(resident) + f64::from(8 << 20);
        assert!(resident < bound, "{resident} bytes, then at most {bound}");
    }
    assert_eq!(timed_out(), stalled as f64);
}

/// The columns of the CSV file of slowhttptest, of its last line but the header.
fn slow(address: SocketAddr, mode: &str, report: &str) -> Vec<Vec<u32>> {
    let mut command = Command::new("slowhttptest");
    command.args([mode, "-c", "300", "-r", "300", "-i", "1", "-l", "300", "-p", "60", "-g"]);
    command.args(["-o", report, "-u", &format!("https://localhost:{}/echo", address.port())]);
    let outcome = run(command.stdin(Stdio::null()));
    let csv = std::fs::read_to_string(format!("{report}.csv")).unwrap();
    assert!(csv.starts_with("Seconds,Closed,Pending,Connected,Service Available\n"), "{outcome:?}");
    let rows = csv.lines().skip(1).map(|row| row.split(',').map(|cell| cell.parse().unwrap()));
    rows.map(Iterator::collect).collect()
}

/// Failure: TLS hides a slow peer from the limits.
#[test]
fn slowhttptest_over_tls_is_closed_and_the_service_stays_available() {
    let _guard = hang_guard("slowhttptest");
    let name = "slowhttptest_over_tls_is_closed_and_the_service_stays_available";
    if !has_tool(name, "slowhttptest", "slowhttptest") {
        return;
    }
    let certificates = Certificates::new();
    // Where a handshake takes longer than its interval, slowhttptest sends of a body first and then
    // the head, which is malformed.
    for (mode, options, reasons) in [
        ("-H", &["--header-timeout", "3s"][..], ["header_timeout", "protocol"]),
        ("-B", &["--min-rate", "500", "--rate-grace", "3s"], ["too_slow", "protocol"]),
    ] {
        let program = certificates.start(options);
        let rows = slow(program.address(), mode, &certificates.path("slow"));
        for row in &rows[1..] {
            assert!(row[4] > 0, "the service was not available: {rows:?}");
        }
        let metrics = || program.metrics();
        let closed = |reason: &&str| {
            metrics().value("heist_connections_closed_total", &[("reason", reason)])
        };
        while reasons.iter().map(closed).sum::<f64>() < 300.0 {}
    }
}
