//! Failures 57 and 58: peers that do not read their answers.

use heist_net::http::Body;
use heist_net::server::{CloseKind, Limits};
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::answers::Endless;
use crate::client::{Client, GET};
use crate::site::{Failure, Hello, Site, reply};

async fn endless(_request: Request<Body>) -> Result<Response<Endless>, Failure> {
    Ok(Response::new(Endless))
}

#[test]
fn flood_of_pipelined_requests_is_bounded_by_what_the_peer_takes() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    let mut client = Client::connect_narrow(site.address());
    let requests = GET.repeat(1000);
    let mut sent = 0;
    // Until the server reads no more.
    while let count @ 1.. = client.send_what_fits(requests.as_bytes()) {
        sent += count / GET.len();
        site.settle();
    }
    let calls = hello.calls();
    // The kernel holds a few megabytes of answers of 120 bytes; hyper and the server, 64 KiB.
    assert!(calls < sent && sent < 1_000_000, "{calls} of {sent}");
    let buffered = site.server.metrics().buffered_bytes;
    assert!((1..128 * 1024).contains(&buffered), "{buffered}");
    site.pass(31);
    assert_eq!(site.closed(CloseKind::WriteTimeout), 1);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

#[test]
fn reader_that_stopped_is_closed_and_its_memory_given_back() {
    let site = Site::new(service_fn(endless));
    let mut client = Client::connect_narrow(site.address());
    client.send(GET);
    site.pass(29);
    let buffered = site.server.metrics().buffered_bytes;
    assert!((1..256 * 1024).contains(&buffered), "{buffered}");
    assert_eq!(site.closed(CloseKind::WriteTimeout), 0);
    site.pass(2);
    assert_eq!(site.closed(CloseKind::WriteTimeout), 1);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

#[test]
fn reader_below_the_least_rate_is_closed_though_it_reads() {
    let limits = Limits { min_send_rate: 1_000_000, ..Limits::default() };
    let site = Site::with(limits, service_fn(endless));
    let mut client = Client::connect_narrow(site.address());
    client.send(GET);
    // Each time enough that the server can write again, and so slowly that the beginning of the
    // answer, which the kernel's buffers took at once, does not raise the rate enough.
    for _ in 0..20 {
        site.pass(20);
        client.skip(4_000_000);
    }
    assert_eq!(site.closed(CloseKind::TooSlow), 1);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

#[test]
fn connection_that_would_buffer_more_than_the_server_may_is_closed() {
    let limits = Limits { buffered_bytes: 100_000, ..Limits::default() };
    let large =
        service_fn(async |_: Request<Body>| Ok::<_, Failure>(reply(vec![b'x'; 64 * 1024 * 1024])));
    let site = Site::with(limits, large);
    let mut client = Client::connect_narrow(site.address());
    client.send(GET);
    assert_eq!(site.closed(CloseKind::Memory), 1);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}
