//! Which account the code of a request runs on.

use std::sync::{Arc, Mutex};

use heist_net::http::{Body, Http};
use heist_net::server::Limits;
use heist_scheduler::{Account, account, set_account, spawn};
use hyper::Request;
use hyper::service::service_fn;

use crate::client::{Client, GET};
use crate::site::{Failure, Gate, Reply, Site, reply};

const TENANT: &str = "GET /tenant HTTP/1.1\r\nhost: test\r\n\r\n";

/// Answers with the account that the request begins on and the one that it ends on, behind a wait.
async fn tell(request: Request<Body>, gate: Option<Gate>) -> Result<Reply, Failure> {
    let begins = account();
    if request.uri().path() == "/tenant" {
        set_account(Account::shared("tenant"));
    }
    if let Some(gate) = gate {
        gate.pass().await;
    }
    let inherited = spawn(async { account() }).await?;
    assert_eq!(inherited, account(), "a task has the account of its spawner");
    Ok(reply(format!("{:?} to {:?}", begins, account())))
}

/// The account of a connection, which its requests begin on, as text.
fn own(client: &mut Client) -> String {
    let body = String::from_utf8(client.get().body).unwrap();
    let (begins, ends) = body.split_once(" to ").unwrap();
    assert_eq!(begins, ends);
    begins.to_owned()
}

fn told(begins: &str, ends: &str) -> String {
    format!("{begins} to {ends}")
}

/// Failure: what a request had chosen was the account of the next request of its connection.
#[test]
fn choice_of_a_request_ends_with_its_answer() {
    let (gate, go) = Gate::new();
    let site = Site::new(service_fn(move |request: Request<Body>| {
        let waits = request.uri().path() == "/tenant";
        tell(request, waits.then(|| gate.clone()))
    }));
    let mut client = site.connect();
    let own = own(&mut client);
    let tenant = format!("{:?}", Account::shared("tenant"));
    let answer = |client: &mut Client| String::from_utf8(client.answer().body).unwrap();
    for _ in 0..2 {
        client.send(TENANT);
        go.send(()).unwrap();
        assert_eq!(answer(&mut client), told(&own, &tenant));
        client.send(GET);
        assert_eq!(answer(&mut client), told(&own, &own));
    }
    // The second one begins in the poll in which the first one ends.
    client.send([TENANT, GET].concat());
    go.send(()).unwrap();
    assert_eq!(answer(&mut client), told(&own, &tenant));
    assert_eq!(answer(&mut client), told(&own, &own));
}

/// Failure: between two requests a connection was queued, and charged, as the first of them.
#[test]
fn connection_that_waits_for_a_request_has_its_own_account_again() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let service = service_fn(|request: Request<Body>| tell(request, None));
    let http = Http::new(service)
        .on_refused(move |_| sees.lock().unwrap().push(format!("{:?}", account())));
    let site = Site::serving(|_| false, Limits::default(), http);
    let mut client = site.connect();
    let own = own(&mut client);
    client.send(TENANT);
    assert_eq!(client.answer().code, 200);
    // It does not get to the service.
    client.send("no request\r\n\r\n");
    assert_eq!(client.answer().code, 400);
    assert_eq!(*seen.lock().unwrap(), [own]);
}
