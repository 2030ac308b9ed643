//! Which requests are refused in overload.

use std::sync::{Arc, Mutex};

use heist_net::http::Body;
use heist_net::server::Limits;
use heist_scheduler::{Handle, OverloadLevel};
use hyper::Request;
use hyper::service::{Service, service_fn};

use crate::site::{Failure, Reply, Site, Work, reply};

/// Failure: in overload small requests were refused because of the large ones of another connection.
#[test]
fn heavy_connections_are_refused_first() {
    let level = Arc::new(Mutex::new(OverloadLevel::None));
    let (work, overseer) = Work::new();
    let asked = Arc::clone(&level);
    let overloaded = move |_: &Handle| *asked.lock().unwrap();
    let site = Site::overloaded_by(overloaded, Limits::default(), service(work));
    let (mut heavy, mut light) = (site.connect(), site.connect());
    assert_eq!(light.get().code, 200);
    heavy.send(WORK);
    overseer.takes(&site, 1);
    assert_eq!(heavy.answer().code, 200);
    let mut at = |now: OverloadLevel| {
        *level.lock().unwrap() = now;
        [heavy.get().code, light.get().code]
    };
    assert_eq!(at(OverloadLevel::Begun), [503, 200]);
    assert_eq!(at(OverloadLevel::Begun), [503, 200], "refusals are no use of a worker");
    assert_eq!(at(OverloadLevel::Standing), [503, 503]);
    assert_eq!(at(OverloadLevel::None), [200, 200]);
    let metrics = site.server.metrics();
    assert_eq!((metrics.shed_heavy, metrics.shed_other, metrics.shed()), (3, 1, 4));
}

/// Failure: a connection was refused for what it did long before others did more.
#[test]
fn connection_is_light_again_when_another_uses_more() {
    let level = Arc::new(Mutex::new(OverloadLevel::None));
    let (work, overseer) = Work::new();
    let asked = Arc::clone(&level);
    let overloaded = move |_: &Handle| *asked.lock().unwrap();
    let site = Site::overloaded_by(overloaded, Limits::default(), service(work));
    let (mut first, mut second) = (site.connect(), site.connect());
    for (client, seconds) in [(&mut first, 1), (&mut second, 3)] {
        client.send(WORK);
        overseer.takes(&site, seconds);
        assert_eq!(client.answer().code, 200);
    }
    *level.lock().unwrap() = OverloadLevel::Begun;
    assert_eq!([first.get().code, second.get().code], [200, 503]);
}

/// Computes where it is asked to.
fn service(
    work: Work,
) -> impl Service<Request<Body>, Response = Reply, Error = Failure, Future: Send + 'static>
+ Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |request: Request<Body>| {
        if request.uri().path() == "/work" {
            work.compute();
        }
        async { Ok::<_, Failure>(reply("done")) }
    })
}

const WORK: &str = "GET /work HTTP/1.1\r\nhost: test\r\n\r\n";
