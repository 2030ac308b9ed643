//! Upgrades to other protocols: what the new protocol sees, and what holds for its connection.

use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::pin::{Pin, pin};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::{self, Thread};
use std::time::Duration;

use heist_net::http::{Body, DrainSignal, Http, UpgradedConnection};
use heist_net::server::{CloseKind, Limits};
use heist_scheduler::{Handle, spawn};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::rt::{Read, ReadBuf, Write};
use hyper::service::{Service, service_fn};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};

use crate::client::{Client, GET};
use crate::drain::Drain;
use crate::site::{Failure, Site};

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nhost: test\r\nconnection: x, Upgrade\r\nupgrade: other\r\n\r\n";

type Switched = Response<Empty<Bytes>>;

/// What a service takes over with a connection.
struct Taken {
    upgrade: OnUpgrade,
    connection: UpgradedConnection,
    drain: DrainSignal,
}

fn status(status: StatusCode) -> Switched {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

fn switched() -> Switched {
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    response.headers_mut().insert("connection", "upgrade".parse().unwrap());
    response.headers_mut().insert("upgrade", "other".parse().unwrap());
    response
}

/// Answers 101, and gives what it takes over to `serve`.
fn switch(
    serve: impl Fn(Taken) + Clone + Send + Sync + 'static,
) -> impl Service<
    Request<Body>,
    Response = Switched,
    Error = Failure,
    Future = impl Future<Output = Result<Switched, Failure>> + Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |mut request: Request<Body>| {
        let serve = serve.clone();
        async move {
            let Some(connection) = request.extensions().get::<UpgradedConnection>().cloned() else {
                request.into_body().collect().await?;
                return Ok(status(StatusCode::OK));
            };
            let drain = request.extensions().get::<DrainSignal>().unwrap().clone();
            serve(Taken { upgrade: hyper::upgrade::on(&mut request), connection, drain });
            Ok(switched())
        }
    })
}

/// Serves each upgraded connection by `serve`, in a task of the runtime.
fn site<F>(limits: Limits, serve: impl Fn(Taken) -> F + Clone + Send + Sync + 'static) -> Site
where
    F: Future<Output: Send> + Send + 'static,
{
    Site::with(limits, switch(move |taken| drop(spawn(serve(taken)))))
}

async fn read(stream: &mut Upgraded, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut buffer = ReadBuf::new(&mut *buffer);
        ready!(Pin::new(&mut *stream).poll_read(cx, buffer.unfilled()))?;
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

async fn write(stream: &mut Upgraded, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await?;
        bytes = &bytes[count..];
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}

async fn copy(stream: &mut Upgraded) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match read(stream, &mut buffer).await? {
            0 => return Ok(()),
            count => write(stream, &buffer[..count]).await?,
        }
    }
}

async fn echo(taken: Taken) {
    let mut stream = taken.upgrade.await.expect("the answer is 101");
    let _ = copy(&mut stream).await;
}

/// Gives each stream to the test, which keeps it.
fn keeping(limits: Limits) -> (Site, Receiver<(Upgraded, UpgradedConnection)>) {
    let (give, given) = channel();
    let give = Arc::new(Mutex::new(give));
    let site = site(limits, move |taken: Taken| {
        let give = Arc::clone(&give);
        async move {
            let stream = taken.upgrade.await.expect("the answer is 101");
            give.lock().unwrap().send((stream, taken.connection)).unwrap();
        }
    });
    (site, given)
}

fn upgraded(site: &Site) -> Client {
    let mut client = site.connect();
    client.send(UPGRADE);
    assert_eq!(client.answer().code, 101);
    client
}

fn upgrades(site: &Site) -> (u64, u64) {
    site.settle();
    let http = site.server.metrics().http.unwrap();
    (http.upgrades, http.upgraded_connections)
}

/// Failure: the large buffer of an upload was charged for as long as the connection lived that was upgraded next.
#[test]
fn upgraded_connection_is_not_charged_for_an_upload_before() {
    let (site, given) = keeping(Limits::default());
    let mut client = site.connect();
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 500000\r\n\r\n");
    client.send(vec![b'x'; 500_000]);
    assert_eq!(client.answer().code, 200);
    assert_eq!(site.server.metrics().buffered_bytes, 256 << 10);
    client.send(UPGRADE);
    assert_eq!(client.answer().code, 101);
    let _kept = given.recv().unwrap();
    site.settle();
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

/// Failure: bytes behind the head of the request are lost, or taken for a request.
#[test]
fn bytes_behind_the_request_come_first_wherever_they_are_cut() {
    let site = site(Limits::default(), echo);
    let sent = format!("{UPGRADE}GET is \r\n\r\n no request here \0\u{ff}");
    let payload = &sent.as_bytes()[UPGRADE.len()..];
    for cut in (0..sent.len()).step_by(7).chain([UPGRADE.len() - 1, UPGRADE.len()]) {
        let mut client = site.connect();
        let (front, rest) = sent.as_bytes().split_at(cut);
        client.send(front);
        if cut % 2 == 0 {
            site.settle();
        }
        client.send(rest);
        let answer = client.answer();
        assert_eq!((answer.code, answer.closes()), (101, false), "cut at {cut}");
        assert_eq!(client.exactly(payload.len()), payload, "cut at {cut}");
        client.send("more");
        assert_eq!(client.exactly(4), b"more");
        client.stop_sending();
        assert!(client.rest().is_empty());
    }
    let (total, open) = upgrades(&site);
    assert!(total > 10 && open == 0, "{total} {open}");
    assert_eq!(site.closed(CloseKind::Finished), total);
}

#[test]
fn eight_mebibytes_pass_in_both_directions_at_once() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let site = site(Limits::default(), echo);
    let client = upgraded(&site).into_stream();
    let sent: Vec<u8> =
        (0..LENGTH as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let came = thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(&sent).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut came = Vec::new();
        (&client).read_to_end(&mut came).unwrap();
        came
    });
    assert!(came == sent, "{} bytes came", came.len());
    assert_eq!(site.closed(CloseKind::Finished), 1);
    let metrics = site.server.metrics();
    assert!(metrics.bytes_read > LENGTH as u64 && metrics.bytes_written > LENGTH as u64);
    assert_eq!(metrics.buffered_bytes, 0);
}

#[test]
fn peer_that_has_finished_sending_still_receives() {
    let site = site(Limits::default(), async |taken: Taken| {
        let mut stream = taken.upgrade.await.unwrap();
        assert_eq!(read(&mut stream, &mut [0; 8]).await.unwrap(), 0);
        write(&mut stream, b"farewell").await.unwrap();
        poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await.unwrap();
        assert_eq!(read(&mut stream, &mut [0; 8]).await.unwrap(), 0);
    });
    let mut client = upgraded(&site);
    client.stop_sending();
    assert_eq!(client.rest(), b"farewell");
    assert_eq!(site.closed(CloseKind::Finished), 1);
}

/// Failure: a service that shuts its side down loses what the peer still sends.
#[test]
fn service_that_has_finished_sending_still_receives() {
    let (sender, came) = channel();
    let site = site(Limits::default(), move |taken: Taken| {
        let sender: Sender<Vec<u8>> = sender.clone();
        async move {
            let mut stream = taken.upgrade.await.unwrap();
            poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await.unwrap();
            let (mut all, mut buffer) = (Vec::new(), [0; 16]);
            while let count @ 1.. = read(&mut stream, &mut buffer).await.unwrap() {
                all.extend_from_slice(&buffer[..count]);
            }
            sender.send(all).unwrap();
        }
    });
    let mut client = upgraded(&site);
    assert!(client.rest().is_empty());
    client.send("all of this arrives");
    client.stop_sending();
    assert_eq!(came.recv_timeout(GUARD).unwrap(), b"all of this arrives");
}

#[test]
fn reset_is_an_error_for_the_service_and_counted() {
    let (sender, failed) = channel();
    let site = site(Limits::default(), move |taken: Taken| {
        let sender: Sender<io::ErrorKind> = sender.clone();
        async move {
            let mut stream = taken.upgrade.await.unwrap();
            sender.send(read(&mut stream, &mut [0; 8]).await.unwrap_err().kind()).unwrap();
        }
    });
    upgraded(&site).reset();
    assert_eq!(failed.recv_timeout(GUARD).unwrap(), io::ErrorKind::ConnectionReset);
    assert_eq!((site.closed(CloseKind::Lost), upgrades(&site)), (1, (1, 0)));
}

#[test]
fn upgrade_that_the_service_drops_ends_the_connection_in_order() {
    let site = Site::new(switch(drop));
    let mut client = upgraded(&site);
    assert!(client.rest().is_empty());
    assert_eq!((site.closed(CloseKind::Finished), upgrades(&site)), (1, (1, 0)));
    assert_eq!(site.answered(101), 1);
}

/// Failure 20: a peer that is told what it did wrong, and still sends, is reset and does not read it.
#[test]
fn peer_that_is_cut_off_and_still_sends_is_not_reset_for_a_while() {
    for kind in [CloseKind::Protocol, CloseKind::Memory, CloseKind::TooSlow] {
        let site = site(Limits::default(), move |taken: Taken| async move {
            let mut stream = taken.upgrade.await.unwrap();
            write(&mut stream, b"that is wrong").await.unwrap();
            taken.connection.close_as(kind);
        });
        let mut client = upgraded(&site);
        assert_eq!(client.exactly(13), b"that is wrong");
        site.settle();
        for _ in 0..3 {
            client.send("more");
            site.settle();
        }
        assert_eq!(site.closed(kind), 0);
        client.stop_sending();
        assert!(client.rest().is_empty());
        assert_eq!(site.closed(kind), 1);
    }
}

/// Failure: a 101 that was not asked for makes the peer's next request another protocol.
#[test]
fn answer_101_without_an_upgrade_is_replaced_by_501() {
    let site = Site::new(service_fn(async |request: Request<Body>| {
        let body = request.uri().path() == "/read";
        let upgrade = request.uri().path() == "/body";
        if body {
            request.into_body().collect().await?;
        } else {
            drop(spawn(async move {
                assert!(!upgrade || hyper::upgrade::on(request).await.is_err());
            }));
        }
        Ok::<_, Failure>(switched())
    }));
    let asked = "connection: upgrade\r\nupgrade: other\r\n";
    for (line, fields) in [
        ("GET / HTTP/1.1", ""),
        ("GET / HTTP/1.1", "connection: upgrade\r\n"),
        ("GET / HTTP/1.1", "upgrade: other\r\n"),
        ("GET / HTTP/1.1", "connection: notupgrade, keep-alive\r\nupgrade: other\r\n"),
        ("POST /body HTTP/1.1", &format!("{asked}content-length: 3\r\n")),
    ] {
        let mut client = site.connect();
        client.send(format!("{line}\r\nhost: test\r\n{fields}\r\n"));
        assert_eq!(client.answer().code, 501, "{line} {fields}");
    }
    let mut old = site.connect();
    old.send(format!("GET / HTTP/1.0\r\nhost: test\r\n{asked}\r\n"));
    assert_eq!(old.answer().code, 501);
    assert_eq!((site.answered(501), upgrades(&site)), (6, (0, 0)));
    // With its body read, it is whole.
    let mut whole = site.connect();
    whole.send(format!(
        "POST /read HTTP/1.1\r\nhost: test\r\n{asked}content-length: 3\r\n\r\nabcde"
    ));
    assert_eq!(whole.answer().code, 101);
    assert_eq!(upgrades(&site).0, 1);
}

/// Failure: what follows a request whose upgrade is refused is lost.
#[test]
fn refused_upgrade_leaves_the_connection_to_the_next_request() {
    let site = Site::new(service_fn(async |request: Request<Body>| {
        let kept = hyper::upgrade::on(request);
        // hyper gives it a connection at its end, which is of no use.
        drop(spawn(async move {
            let mut stream = kept.await.unwrap();
            assert!(read(&mut stream, &mut [0; 8]).await.is_err());
            assert!(write(&mut stream, b"not to be sent").await.is_err());
        }));
        Ok::<_, Failure>(status(StatusCode::OK))
    }));
    let mut client = site.connect();
    client.send(format!("{UPGRADE}{GET}{UPGRADE}{GET}"));
    for _ in 0..4 {
        let answer = client.answer();
        assert_eq!(answer.code, 200);
    }
    site.settle();
    client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\nupgrade: other\r\n\r\n");
    assert_eq!(client.answer().code, 200);
    assert!(client.rest().is_empty());
    assert_eq!((site.closed(CloseKind::Finished), upgrades(&site)), (1, (0, 0)));
}

/// Failure: a malformed request behind a refused upgrade gets past the guard.
#[test]
fn request_behind_a_refused_upgrade_is_checked() {
    let site =
        Site::new(service_fn(async |_: Request<Body>| Ok::<_, Failure>(status(StatusCode::OK))));
    let mut client = site.connect();
    client.send(format!("{UPGRADE}GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"));
    assert_eq!(client.answer().code, 200);
    assert_eq!(client.answer().code, 400);
    assert!(client.rest().is_empty());
    drop(client);
    while site.closed(CloseKind::Protocol) == 0 {}
}

#[test]
fn drain_tells_the_service_and_waits_for_it() {
    let site = site(Limits::default(), async |mut taken: Taken| {
        let mut stream = taken.upgrade.await.unwrap();
        taken.drain.draining().await;
        assert!(taken.drain.is_draining());
        write(&mut stream, b"farewell").await.unwrap();
        assert_eq!(read(&mut stream, &mut [0; 8]).await.unwrap(), 3);
    });
    let mut client = upgraded(&site);
    site.settle();
    assert!(client.is_quiet());
    let drained = Drain::begin(&site);
    assert_eq!(client.exactly(8), b"farewell");
    site.pass(60);
    assert!(client.is_quiet());
    client.send("end");
    assert!(client.rest().is_empty());
    drained.wait();
    assert_eq!((site.closed(CloseKind::Drained), upgrades(&site)), (1, (1, 0)));
}

/// Failure: the end of the grace leaves a socket open that another task has.
#[test]
fn forced_close_closes_the_socket_and_fails_the_service() {
    let (sender, failed) = channel();
    let site = site(Limits::default(), move |taken: Taken| {
        let sender: Sender<(io::ErrorKind, Upgraded)> = sender.clone();
        async move {
            let mut stream = taken.upgrade.await.unwrap();
            let error = read(&mut stream, &mut [0; 8]).await.unwrap_err();
            // The test keeps it: the socket is closed all the same.
            sender.send((error.kind(), stream)).unwrap();
        }
    });
    let mut client = upgraded(&site);
    site.settle();
    let drained = site.runtime.block_on(site.server.drain(Duration::ZERO));
    assert_eq!(site.closed(CloseKind::Cancelled), 1, "{drained:?}");
    assert!(client.rest().is_empty());
    let (error, _stream) = failed.recv_timeout(GUARD).unwrap();
    assert_eq!(error, io::ErrorKind::ConnectionAborted);
    assert_eq!(upgrades(&site), (1, 0));
}

/// Failure: a WebSocket is closed as if it were between two requests, or never.
#[test]
fn quiet_connection_has_a_limit_of_its_own_that_any_byte_resets() {
    let (site, streams) = keeping(Limits::default());
    let mut client = upgraded(&site);
    let (mut stream, _) = streams.recv_timeout(GUARD).unwrap();
    site.pass(599);
    client.send("a");
    assert_eq!(site.runtime.block_on(read(&mut stream, &mut [0; 8])).unwrap(), 1);
    site.pass(599);
    site.runtime.block_on(write(&mut stream, b"b")).unwrap();
    assert_eq!(client.exactly(1), b"b");
    site.pass(599);
    assert!(client.is_quiet());
    site.pass(2);
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::IdleTimeout), 1);
    let error = site.runtime.block_on(read(&mut stream, &mut [0; 8])).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn idle_limit_is_the_servers_unless_the_service_sets_another_one() {
    let limits = Limits { upgraded_idle_timeout: Duration::from_secs(5), ..Limits::default() };
    let site = site(limits, async |taken: Taken| {
        let mut stream = taken.upgrade.await.unwrap();
        let mut buffer = [0; 8];
        if read(&mut stream, &mut buffer).await.is_ok_and(|count| count == 4) {
            taken.connection.set_idle_timeout(Duration::MAX);
        }
        let _ = copy(&mut stream).await;
    });
    let (mut short, mut long) = (upgraded(&site), upgraded(&site));
    short.send("one");
    long.send("four");
    site.pass(6);
    assert!(short.rest().is_empty());
    site.pass(1_000_000);
    long.send("still here");
    assert_eq!(long.exactly(10), b"still here");
    assert_eq!(site.closed(CloseKind::IdleTimeout), 1);
}

/// Failure: bytes that came in time are not seen, as their task has not run yet.
#[test]
fn bytes_that_came_in_time_find_their_connection_open() {
    const CROWD: usize = 100;
    let limits = Limits { upgraded_idle_timeout: Duration::from_secs(60), ..Limits::default() };
    let site = site(limits, echo);
    let mut crowd: Vec<_> = (0..CROWD).map(|_| upgraded(&site)).collect();
    while upgrades(&site).1 < CROWD as u64 {}
    site.pass_unseen(61, || crowd.iter_mut().for_each(|client| client.send("late")));
    crowd.iter_mut().for_each(|client| assert_eq!(client.exactly(4), b"late"));
    assert_eq!(site.closed(CloseKind::IdleTimeout), 0);
}

#[test]
fn peer_that_takes_nothing_is_closed_in_the_time_for_writes() {
    let (sender, failed) = channel();
    let site = site(Limits::default(), move |taken: Taken| {
        let sender: Sender<io::Error> = sender.clone();
        async move {
            let mut stream = taken.upgrade.await.unwrap();
            let error = loop {
                if let Err(error) = write(&mut stream, &[7; 64 * 1024]).await {
                    break error;
                }
            };
            sender.send(error).unwrap();
        }
    });
    let mut client = Client::connect_narrow(site.address());
    client.send(UPGRADE);
    while site.server.metrics().buffered_bytes == 0 {
        site.settle();
    }
    site.pass(29);
    assert_eq!(site.closed(CloseKind::WriteTimeout), 0);
    site.pass(2);
    assert_eq!(site.closed(CloseKind::WriteTimeout), 1);
    assert_eq!(failed.recv_timeout(GUARD).unwrap().kind(), io::ErrorKind::TimedOut);
    site.settle();
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

#[test]
fn peer_that_takes_slowly_is_closed() {
    let limits = Limits { min_send_rate: 1_000_000_000, ..Limits::default() };
    let site = site(limits, async |taken: Taken| {
        let mut stream = taken.upgrade.await.unwrap();
        // A service that does not look at errors is no reason to keep the connection.
        loop {
            if write(&mut stream, &[7; 64 * 1024]).await.is_err() {
                heist_scheduler::yield_now().await;
            }
        }
    });
    let mut client = Client::connect_narrow(site.address());
    client.send(UPGRADE);
    while site.closed(CloseKind::TooSlow) == 0 {
        site.pass(9);
        // More than the buffers of the system hold, or the server would not see it.
        client.skip(8 * 1024 * 1024);
    }
    assert_eq!(upgrades(&site), (1, 0));
}

#[test]
fn reason_of_the_end_is_what_the_service_says() {
    for kind in [CloseKind::Protocol, CloseKind::Memory, CloseKind::TooSlow] {
        let site = site(Limits::default(), move |taken: Taken| async move {
            taken.connection.close_as(kind);
            let mut stream = taken.upgrade.await.unwrap();
            // It goes on until it drops the stream, whatever it has said.
            while read(&mut stream, &mut [0; 8]).await.unwrap() > 0 {
                write(&mut stream, b"why").await.unwrap();
            }
        });
        let mut client = upgraded(&site);
        site.settle();
        for _ in 0..2 {
            client.send("what");
            assert_eq!(client.exactly(3), b"why");
        }
        client.stop_sending();
        assert!(client.rest().is_empty());
        assert_eq!(site.closed(kind), 1);
    }
}

/// Failure: an upgraded connection no longer counts towards the bounds, as its own task has ended.
#[test]
fn connection_counts_until_the_stream_is_dropped() {
    let bounds = [
        Limits { connections: 1, ..Limits::default() },
        Limits { per_address: 1, limit_loopback: true, ..Limits::default() },
    ];
    for limits in bounds {
        let waits = limits.connections == 1;
        let (site, streams) = keeping(limits);
        let client = upgraded(&site);
        let (stream, _) = streams.recv_timeout(GUARD).unwrap();
        let mut other = site.connect();
        site.settle();
        if waits {
            other.send(GET);
            site.settle();
            assert!(other.is_quiet());
        } else {
            assert!(other.rest().is_empty());
            other = site.connect();
            assert!(other.rest().is_empty());
        }
        assert_eq!((site.server.metrics().connections_idle, upgrades(&site)), (1, (1, 1)));
        drop((stream, client));
        site.settle();
        if !waits {
            other = site.connect();
            other.send(GET);
        }
        assert_eq!(other.answer().code, 200);
        assert_eq!(upgrades(&site), (1, 0));
    }
}

/// Wakes a thread that polls a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future on a thread that is in no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    assert!(Handle::try_current().is_none());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut cx) = (pin!(future), Context::from_waker(&waker));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        thread::park();
    }
}

/// Failure: a service that runs in another runtime panics, or is not woken.
#[test]
fn stream_works_outside_of_the_runtime() {
    const LENGTH: usize = 1024 * 1024;
    let (sender, ended) = channel();
    let site = Site::new(switch(move |taken: Taken| {
        let sender: Sender<(io::Result<()>, Option<io::ErrorKind>)> = sender.clone();
        thread::spawn(move || {
            let Taken { upgrade, connection, mut drain } = taken;
            let mut stream = block_on(upgrade).unwrap();
            connection.set_idle_timeout(Duration::from_secs(60));
            let mut buffer = [0; 4];
            let copied = block_on(async {
                let mut left = LENGTH;
                while left > 0 {
                    let count = read(&mut stream, &mut buffer).await?;
                    write(&mut stream, &[buffer[0]; 4][..count]).await?;
                    left -= count;
                }
                Ok(())
            });
            block_on(drain.draining());
            let cut = block_on(read(&mut stream, &mut buffer)).err().map(|error| error.kind());
            sender.send((copied, cut)).unwrap();
        });
    }));
    let client = upgraded(&site).into_stream();
    thread::scope(|scope| {
        scope.spawn(|| (&client).write_all(&vec![b'x'; LENGTH]).unwrap());
        let mut came = vec![0; LENGTH];
        (&client).read_exact(&mut came).unwrap();
        assert!(came.iter().all(|&byte| byte == b'x'));
    });
    let drained = Drain::begin(&site);
    site.pass(61);
    drained.wait();
    let (copied, cut) = ended.recv_timeout(GUARD).unwrap();
    copied.unwrap();
    assert_eq!(cut, Some(io::ErrorKind::TimedOut));
    assert_eq!(site.closed(CloseKind::IdleTimeout), 1);
}

/// Failure: what an upgrade leaves behind is kept for ever.
#[test]
fn server_is_dropped_while_upgrades_are_asked_for() {
    let keeps = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&keeps);
    let site = Site::serving(
        |_| false,
        Limits::default(),
        Http::new(service_fn(move |request: Request<Body>| {
            let connection = request.extensions().get::<UpgradedConnection>().unwrap().clone();
            kept.lock().unwrap().push(Arc::downgrade(connection.server()));
            async move {
                std::future::pending::<()>().await;
                drop(connection);
                Ok::<_, Failure>(status(StatusCode::OK))
            }
        })),
    );
    let mut clients: Vec<_> = (0..3).map(|_| site.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(UPGRADE));
    site.settle();
    site.runtime.block_on(site.server.drain(Duration::ZERO));
    clients.iter_mut().for_each(|client| assert!(client.rest().is_empty()));
    drop(site);
    let keeps = keeps.lock().unwrap();
    assert!(keeps.len() == 3 && keeps.iter().all(|shared| shared.strong_count() == 0));
}

const GUARD: Duration = crate::client::GUARD;
