//! Which account the code of a stream runs on.

use heist_net::http::Body;
use heist_net::server::Limits;
use heist_scheduler::{Account, account, set_account};
use hyper::Request;
use hyper::service::service_fn;

use crate::client::{Client, request};
use crate::site::{Failure, Gate, reply};

/// Failure: what a stream had chosen was the account of the other streams of its connection.
#[test]
fn choice_of_a_stream_is_that_of_its_code_alone() {
    let (gate, go) = Gate::new();
    let site = crate::site(
        Limits::default(),
        service_fn(move |request: Request<Body>| {
            let (is_tenant, gate) = (request.uri().path() == "/tenant", gate.clone());
            let begins = account();
            if is_tenant {
                // In the call already.
                set_account(Account::shared("tenant"));
            }
            async move {
                let called = account();
                if is_tenant {
                    gate.pass().await;
                }
                Ok::<_, Failure>(reply(format!("{begins:?} then {called:?} then {:?}", account())))
            }
        }),
    );
    let mut client = Client::connect(site.address());
    client.begin(&[]);
    let text = |answer: (u16, Vec<u8>)| String::from_utf8(answer.1).unwrap();
    let own = text(client.get(1, "/"));
    client.send(&request(3, "/tenant", true));
    // It waits while another one is served.
    assert_eq!(text(client.get(5, "/")), own);
    go.send(()).unwrap();
    let tenant = text(client.answer(3));
    let chosen = format!("{:?}", Account::shared("tenant"));
    let (connection, _) = own.split_once(" then ").unwrap();
    assert_eq!(tenant, format!("{connection} then {chosen} then {chosen}"));
    assert_eq!(text(client.get(7, "/")), own);
}
