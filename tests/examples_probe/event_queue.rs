use heist_tests::hang_guard;

use crate::example::run;

/// The first whole number in `text` after `word`.
fn number_after(text: &str, word: &str) -> u64 {
    let (_, rest) = text.split_once(word).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn many_threads_share_the_queue_and_nothing_is_lost() {
    let _guard = hang_guard("event_queue");
    // Half a megabyte each: more than the socket's buffers take, in both directions.
    for threads in [1, 3] {
        let threads_flag = threads.to_string();
        let outcome = run("event_queue", ["--clients", "10", "--threads", &threads_flag]);
        // The example compares every byte itself, and fails if one is missing.
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome:?}");
        let text = &outcome.stdout;
        assert!(text.starts_with(&format!("{} connections echoed", threads * 10)), "{text}");
        assert!(text.contains("sources left: 0"), "{text}");
        // Each connection is reported when its first bytes come; the listener too.
        assert!(number_after(text, "512 KiB each: ") > threads * 10, "{text}");
    }
}

#[test]
fn close_tells_or_refuses_every_registration() {
    let _guard = hang_guard("event_queue");
    let outcome = run("event_queue", ["--clients", "1", "--kib", "1", "--races", "300"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome:?}");
    let text = &outcome.stdout;
    let (told, refused) =
        (number_after(text, "registrations: "), number_after(text, "were told, "));
    assert_eq!(told + refused, 300 * 4 * 50, "{text}");
}

#[test]
fn bad_input_is_refused_in_a_line() {
    let _guard = hang_guard("event_queue");
    for arguments in [["--threads", "0"], ["--clients", "many"], ["--kib", "-1"]] {
        let outcome = run("event_queue", arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: "), "{outcome:?}");
    }
}

/// A clone shares the open file that epoll registers, which therefore outlives the close of either.
#[test]
fn no_socket_is_cloned() {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/event_queue");
    for file in std::fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            assert!(!line.contains("try_clone"), "{}: {line}", path.display());
        }
    }
}
