//! Bad options: a line on standard error before the first connection.

use std::net::TcpListener;
use std::path::Path;

use heist_tests::hang_guard;

use crate::example::run;

#[test]
fn bad_input_is_refused_in_a_line() {
    let _guard = hang_guard("bad input");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let directory = directory.path().to_str().unwrap();
    let file = tempfile::NamedTempFile::new_in(directory).unwrap();
    let file = file.path().to_str().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&[], "--directory"),
        (&["--directory", file], file),
        (&["--directory", directory, "--listen", &taken], &taken),
        (&["--directory", directory, "--listen", "nowhere"], "nowhere"),
        (&["--directory", directory, "--max-mib", "0"], "--max-mib"),
        (&["--directory", directory, "--grace", "soon"], "soon"),
    ];
    for (arguments, word) in cases {
        let outcome = run("http_upload", arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(word), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
    assert!(Path::new(file).exists());
}
