//! Input that came in time counts, even while its event is still in the queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};

use heist_net::http::Http;
use heist_net::server::{Accepted, CloseKind, CloseReason, Limits, Serve, Shared};
use hyper::service::service_fn;

use crate::client::{Client, GET};
use crate::site::{Hello, Site, measure};

/// More connections than events that a worker takes at once: some events are still in the queue
/// when all timers have fired.
const CROWD: usize = 200;

/// On each connection `first` has come, and `second` comes while the worker is blocked for this
/// long.
fn no_connection_is_closed(site: &Site, first: &str, seconds: u64, second: &str, body: &str) {
    let mut crowd: Vec<_> = (0..CROWD).map(|_| site.connect()).collect();
    for client in &mut crowd {
        client.send(first);
        if first.ends_with(GET) {
            client.answer();
        }
    }
    let sent = (CROWD * first.len()) as u64;
    while site.server.metrics().bytes_read < sent || site.server.metrics().accepted < CROWD as u64 {
        site.settle();
    }
    site.pass_unseen(seconds, || crowd.iter_mut().for_each(|client| client.send(second)));
    let answered = |client: &mut Client| String::from_utf8(client.answer().body).unwrap();
    crowd.iter_mut().for_each(|client| assert_eq!(answered(client), body));
    for ending in [CloseKind::IdleTimeout, CloseKind::HeaderTimeout, CloseKind::BodyTimeout] {
        assert_eq!(site.closed(ending), 0, "{ending:?}");
    }
}

/// Failure: the idle time ended before the event of the bytes was taken from the queue.
#[test]
fn request_that_came_in_time_finds_its_connection_open() {
    no_connection_is_closed(&Site::new(Hello::default()), GET, 61, GET, "hello");
}

/// Failure: as above, for the first request.
#[test]
fn first_request_that_came_in_time_is_answered() {
    no_connection_is_closed(&Site::new(Hello::default()), "", 16, GET, "hello");
}

/// Failure: as above, for the time of a head.
#[test]
fn head_whose_end_came_in_time_is_whole() {
    let (first, second) = GET.split_at(20);
    no_connection_is_closed(&Site::new(Hello::default()), first, 16, second, "hello");
}

/// Failure: as above, for a pause of a body.
#[test]
fn body_that_came_in_time_has_not_stalled() {
    let head = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\n";
    // The rate counts the time until the body is read.
    let limits = Limits { min_receive_rate: 0, ..Limits::default() };
    no_connection_is_closed(&Site::with(limits, service_fn(measure)), head, 31, "body", "4");
}

type Served = Pin<Box<dyn Future<Output = CloseReason> + Send>>;

/// Passes the future of each connection to the test.
struct Given<T>(T, Mutex<mpsc::Sender<Served>>);

impl<T: Serve> Serve for Given<T> {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<T> {
        self.1.lock().unwrap().send(Box::pin(self.0.serve(accepted))).unwrap();
        std::future::pending()
    }

    fn start(&mut self, server: &Arc<Shared>) {
        self.0.start(server);
    }
}

/// No worker takes the event: `late` comes before the deadline, but the timer wakes the connection
/// first. Returns whether the connection goes on.
fn goes_on<S>(service: S, first: &str, seconds: u64, late: &str) -> bool
where
    Http<S>: Serve,
{
    let (give, given) = mpsc::channel();
    let limits = Limits { min_receive_rate: 0, ..Limits::default() };
    let given_away = Given(Http::new(service), Mutex::new(give));
    let site = Site::serving(|_| false, limits, given_away);
    let mut client = site.connect();
    let mut served = given.recv().unwrap();
    let mut open = true;
    site.hold(|| {
        client.send(first);
        site.runtime.block_on(async {
            let cx = &mut Context::from_waker(Waker::noop());
            // A task that is woken at once is polled again.
            (0..3).for_each(|_| assert!(served.as_mut().poll(cx).is_pending()));
            client.send(late);
            site.advance(seconds);
            (0..3).for_each(|_| open = open && served.as_mut().poll(cx).is_pending());
        });
    });
    open
}

/// It is held until hyper was made anew, and counts as other heads do.
#[test]
fn head_of_a_large_body_came_in_time() {
    let head = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 500000\r\n\r\n";
    assert!(goes_on(service_fn(measure), "", 16, head));
}

/// Failure: the time ended while the event was still in the queue.
#[test]
fn connection_looks_at_the_socket_before_its_time_is_over() {
    let (head, rest) = GET.split_at(20);
    for late in [true, false] {
        let sent = |text: &'static str| if late { text } else { "" };
        assert_eq!(goes_on(Hello::default(), "", 16, sent(GET)), late);
        assert_eq!(goes_on(Hello::default(), head, 16, sent(rest)), late);
        assert_eq!(goes_on(Hello::default(), GET, 61, sent(GET)), late);
    }
}

#[test]
fn nothing_is_waited_for_beyond_the_times() {
    let site = Site::new(Hello::default());
    let (mut fresh, mut idle, mut head) = (site.connect(), site.connect(), site.connect());
    idle.get();
    head.send("GET / HT");
    site.pass(16);
    assert_eq!(site.closed(CloseKind::HeaderTimeout), 2);
    site.pass(45);
    assert_eq!(site.closed(CloseKind::IdleTimeout), 1);
    assert!(fresh.rest().is_empty() && idle.rest().is_empty() && head.rest().is_empty());
}
