//! hyper-util's pool over heist's connector.

use std::io::Read;
use std::net::TcpListener;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use heist::server::{Listener, Server};
use heist::{Builder, yield_now};
use heist_hyper_util::{ConnectError, Connector, HttpInfo, client, client_builder};

use crate::site::{GUARD, Options, Refusing, Requests, Site, certified, chain, text, until};

/// Failure: each request opens a connection of its own.
#[test]
fn requests_in_turn_share_a_connection() {
    let site = Site::plain();
    let runtime = Builder::new().current_thread().start().unwrap();
    runtime.block_on(async {
        let client: Requests = client(Connector::new().connect_timeout(GUARD));
        for _ in 0..100 {
            let response = client.get(site.uri("http", "/")).await.unwrap();
            let info = *response.extensions().get::<HttpInfo>().unwrap();
            assert_eq!(info.remote_addr(), site.address());
            assert_eq!(text(response).await, "hello");
            // The tasks of the pool, which run on this thread, take the connection back.
            for _ in 0..10 {
                yield_now().await;
            }
        }
    });
    assert_eq!(site.accepted(), 1);
}

/// Failure: a pool keeps all connections of a crowd, or loses a request of it.
#[test]
fn crowd_of_500_is_answered_and_leaves_few_connections() {
    let site = Site::plain();
    site.run(async {
        let client: Requests = client(Connector::new().connect_timeout(GUARD));
        let requests: Vec<_> =
            (0..500).map(|_| heist::spawn(client.get(site.uri("http", "/wait")))).collect();
        until(|| site.in_flight() == 500).await;
        site.open_gate();
        for request in requests {
            assert_eq!(text(request.await.unwrap().unwrap()).await, "hello");
        }
        until(|| site.connections() <= 32).await;
        drop(client);
    });
}

/// Failure: an idle connection of a pool is kept for ever, as no timer of tokio runs.
#[test]
fn idle_connections_are_closed_in_time() {
    let site = Site::plain();
    site.run(async {
        let client: Requests =
            client_builder().pool_idle_timeout(Duration::from_millis(100)).build(Connector::new());
        let response = client.get(site.uri("http", "/")).await.unwrap();
        assert_eq!(text(response).await, "hello");
        // The server itself waits for a minute. The client is still there.
        until(|| site.connections() == 0).await;
        let response = client.get(site.uri("http", "/")).await.unwrap();
        assert_eq!(text(response).await, "hello");
        assert!(site.accepted() >= 2);
    });
}

/// Failure: a pool goes by the system's clock, so that no test with a clock of its own sees it close.
#[test]
fn clock_that_is_moved_by_hand_moves_the_pool() {
    let site = Site::plain();
    let (clock, control) = heist::time::Clock::manual();
    let runtime = Builder::new().workers(2).clock(clock).start().unwrap();
    let uri = site.uri("http", "/");
    let client: Requests = client_builder()
        .pool_idle_timeout(Duration::from_secs(3600))
        .build(Connector::new().connect_timeout(Duration::MAX));
    runtime.block_on(async {
        assert_eq!(text(client.get(uri.clone()).await.unwrap()).await, "hello");
    });
    // The connection is idle for the server before it is for the client, whose timer begins then.
    site.run(async {
        while site.connections() > 0 {
            control.advance(Duration::from_secs(3600));
            heist::time::sleep(Duration::from_millis(1)).await;
        }
    });
    drop(client);
}

#[test]
fn connection_that_the_server_ends_is_not_used_again() {
    let site = Site::plain();
    site.run(async {
        let client: Requests = client(Connector::new());
        for _ in 0..20 {
            let response = client.get(site.uri("http", "/last")).await.unwrap();
            assert_eq!(text(response).await, "hello");
        }
    });
    assert!(site.accepted() >= 20, "{} connections", site.accepted());
}

/// Failure: requests under way are lost when their server drains.
#[test]
fn drain_of_the_server_loses_no_request() {
    for tls in [false, true] {
        let (config, roots) = certified();
        let tls = tls.then_some(config);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let site = Site::new(Options { tls });
        site.run(async {
            let connector = Connector::new().tls(roots).connect_timeout(GUARD);
            let client: Requests = client(connector);
            let response = client.get(site.uri(scheme, "/")).await.unwrap();
            assert_eq!(text(response).await, "hello");
            let requests: Vec<_> =
                (0..50).map(|_| heist::spawn(client.get(site.uri(scheme, "/wait")))).collect();
            until(|| site.in_flight() == 50).await;
            let mut drain = pin!(site.server.drain(GUARD));
            assert!(futures::poll!(drain.as_mut()).is_pending(), "50 requests are under way");
            site.open_gate();
            for request in requests {
                assert_eq!(text(request.await.unwrap().unwrap()).await, "hello");
            }
            drain.await;
            let error = client.get(site.uri(scheme, "/")).await.unwrap_err();
            assert!(error.is_connect(), "{error:?}");
        });
    }
}

/// Failure: a name whose first address is dead is not connected to. `localhost` is `::1` as well where
/// the machine has IPv6.
#[test]
fn second_address_of_a_name_is_connected_to() {
    let site = Site::plain();
    site.run(async {
        let connector = Connector::new();
        let stream = connector.connect(site.uri("http", "/")).await.unwrap();
        assert_eq!(stream.info().unwrap().remote_addr(), site.address());
    });
}

/// Failure: a server that accepts and says nothing holds up a request for ever, and the error does not say
/// which server.
#[test]
fn silent_server_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri: http::Uri =
        format!("https://localhost:{}/", silent.local_addr().unwrap().port()).parse().unwrap();
    let (_, roots) = certified();
    let limit = Duration::from_millis(50);
    let (clock, control) = heist::time::Clock::manual();
    let server = thread::spawn(move || {
        let (mut stream, _) = silent.accept().unwrap();
        // The handshake has begun: the time is not up for the connect before it.
        stream.read_exact(&mut [0]).unwrap();
        control.advance(limit);
        // Until the client has given up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let runtime = Builder::new().workers(2).clock(clock).start().unwrap();
    let client: Requests = client(Connector::new().tls(roots).connect_timeout(limit));
    let error = runtime.block_on(client.get(uri.clone())).unwrap_err();
    assert!(error.is_connect());
    let expected = format!("cannot connect to {uri}: it took longer than 50ms");
    assert!(chain(&error).contains(&expected), "{}", chain(&error));
    server.join().unwrap();
}

#[test]
fn errors_name_the_target() {
    let site = Site::plain();
    let refusing = Refusing::new();
    let port = refusing.port();
    site.run(async {
        let connector = Connector::new();
        let mut errors = Vec::new();
        for uri in
            [format!("http://127.0.0.1:{port}/"), "https://host/".into(), "ftp://host/".into()]
        {
            errors.push(connector.connect(uri.parse().unwrap()).await.map(drop).unwrap_err());
        }
        let [refused, no_tls, scheme] = &errors[..] else { unreachable!("there are three") };
        assert!(matches!(refused, ConnectError::Tcp(_)), "{refused:?}");
        let expected = format!("cannot connect to 127.0.0.1:{port}: ");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
        assert!(matches!(no_tls, ConnectError::NoTls { .. }), "{no_tls:?}");
        assert!(no_tls.to_string().contains("https://host/"), "{no_tls}");
        assert!(matches!(scheme, ConnectError::Scheme { .. }), "{scheme:?}");
        let client: Requests = client(connector);
        let error = client.get(format!("http://127.0.0.1:{port}/").parse().unwrap()).await;
        assert!(chain(&error.unwrap_err()).contains(&expected));
    });
}

#[test]
fn unix_socket_is_a_host() {
    let path = std::env::temp_dir().join(format!("heist-client-{}.socket", std::process::id()));
    let site = Site::plain();
    let service = hyper::service::service_fn(async |request: http::Request<heist::http::Body>| {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(
            Bytes::from(host),
        )))
    });
    let server = Server::builder().listen(Listener::unix(&path).unwrap()).overloaded_by(|_| false);
    let _server = server.http(service).start_on(site.runtime.handle()).unwrap();
    site.run(async {
        let requests: Requests = client(Connector::unix(&path));
        let response = requests.get("http://any.host/".parse().unwrap()).await.unwrap();
        assert_eq!(text(response).await, "any.host");
        let nowhere: Requests = client(Connector::unix("/nowhere/socket"));
        let error = nowhere.get("http://any.host/".parse().unwrap()).await.unwrap_err();
        let expected = "cannot connect to /nowhere/socket: No such file";
        assert!(chain(&error).contains(expected), "{}", chain(&error));
    });
}

/// Failure: a request that is given up keeps its connection, or gives it to the next one.
#[test]
fn request_that_is_given_up_closes_its_connection() {
    let site = Site::plain();
    site.run(async {
        let client: Requests = client(Connector::new());
        let request = heist::spawn(client.get(site.uri("http", "/wait")));
        until(|| site.in_flight() == 1).await;
        request.abort();
        drop(request);
        // A server of HTTP/1 takes the end of the input for a client that waits for its answer.
        site.open_gate();
        until(|| site.connections() == 0).await;
        // The client goes on.
        let response = client.get(site.uri("http", "/")).await.unwrap();
        assert_eq!(text(response).await, "hello");
    });
}
