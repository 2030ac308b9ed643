//! A child process inherits no descriptor of a runtime.

use std::process::Command;

use heist::net::{TcpListener, TcpStream};

/// tokio 3809: a child that inherits the event queue keeps its events, and its sockets, alive.
#[test]
fn a_child_has_no_descriptor_of_the_runtime() {
    // Those that the process that started the tests has left open.
    let before = descriptors_of_a_child();
    let runtime = heist::Builder::new().workers(2).start().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _accepted = listener.accept().await.unwrap();
        let open = descriptors_of_a_child();
        for kind in ["eventpoll", "eventfd", "timerfd", "socket:"] {
            let count = |open: &str| open.matches(kind).count();
            assert_eq!(count(&open), count(&before), "a child has an open {kind}:\n{open}");
        }
    });
}

fn descriptors_of_a_child() -> String {
    let child = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    assert!(child.status.success());
    String::from_utf8(child.stdout).unwrap()
}
