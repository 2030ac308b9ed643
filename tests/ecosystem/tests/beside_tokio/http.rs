//! `reqwest`, and the time-outs of `tower-http`.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use heist::server::{Address, Listener, Server};
use hyper_util::service::TowerToHyperService;
use tower_http::timeout::TimeoutLayer;

use crate::{Beside, GUARD};

/// A server of heist, and its base of addresses.
fn serve(beside: &Beside, router: Router) -> (Server, String) {
    let server = Server::builder()
        .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
        // A machine that is busy with other tests fails none.
        .overloaded_by(|_| false)
        .http(TowerToHyperService::new(router))
        .start_on(beside.heist.handle())
        .unwrap();
    let Address::Tcp(address) = server.addresses()[0].clone() else { panic!("it listens on TCP") };
    (server, format!("http://{address}"))
}

#[test]
fn reqwest_asks_a_server_of_the_same_runtime() {
    let beside = Beside::new();
    let echo = post(async |body: Bytes| body);
    let router = Router::new().route("/echo", echo).route("/silent", get(pending::<StatusCode>));
    let (_server, base) = serve(&beside, router);
    beside.run(async move {
        let client = reqwest::Client::builder().timeout(GUARD).build().unwrap();
        let asking: Vec<_> = (0..50)
            .map(|number| {
                let (client, url) = (client.clone(), format!("{base}/echo"));
                heist::spawn(async move {
                    let question = numbers_below(number);
                    let response = client.post(url).json(&question).send().await.unwrap();
                    assert_eq!(response.status(), StatusCode::OK);
                    assert_eq!(response.json::<Vec<u32>>().await.unwrap(), question);
                })
            })
            .collect();
        for asked in asking {
            asked.await.unwrap();
        }
        let silent = client.get(format!("{base}/silent")).timeout(Duration::from_millis(10));
        assert!(silent.send().await.unwrap_err().is_timeout());
    });
}

fn numbers_below(number: u32) -> Vec<u32> {
    (0..number).collect()
}

/// Failure: `TimeoutLayer` panicked, as its timer is one of tokio.
#[test]
fn time_outs_of_tower_http_answer_for_a_slow_handler() {
    let beside = Beside::new();
    let layer = |time| TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, time);
    async fn hello() -> impl IntoResponse {
        Ok::<_, Infallible>("hello")
    }
    let slow = get(pending::<StatusCode>).layer(layer(Duration::from_millis(10)));
    let router = Router::new().route("/slow", slow).route("/fast", get(hello).layer(layer(GUARD)));
    let (_server, base) = serve(&beside, router);
    beside.run(async move {
        let client = reqwest::Client::builder().timeout(GUARD).build().unwrap();
        let slow = client.get(format!("{base}/slow")).send().await.unwrap();
        assert_eq!(slow.status(), StatusCode::GATEWAY_TIMEOUT);
        let fast = client.get(format!("{base}/fast")).send().await.unwrap();
        assert_eq!(fast.text().await.unwrap(), "hello");
    });
}
