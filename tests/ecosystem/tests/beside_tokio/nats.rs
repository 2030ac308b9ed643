//! `async-nats` with a `nats-server`.

use futures::StreamExt;
use heist_ecosystem::nats::Nats;

use crate::{Beside, GUARD};

async fn connect(server: &Nats) -> async_nats::Client {
    let options = async_nats::ConnectOptions::new().request_timeout(Some(GUARD));
    options.connect(server.address()).await.unwrap()
}

#[test]
fn requests_are_answered_and_a_slow_answer_times_out() {
    let Some(server) = Nats::start("requests_are_answered_and_a_slow_answer_times_out") else {
        return;
    };
    Beside::new().run(async move {
        let (service, client) = (connect(&server).await, connect(&server).await);
        let mut requests = service.subscribe("double").await.unwrap();
        // A message that comes back: the server has the subscription, which came before it. A flush awaits no
        // answer.
        let mut own = service.subscribe("own").await.unwrap();
        service.publish("own", "ready".into()).await.unwrap();
        assert_eq!(own.next().await.unwrap().payload, "ready");
        let answering = heist::spawn(async move {
            while let Some(request) = requests.next().await {
                let text = std::str::from_utf8(&request.payload).unwrap();
                let doubled = format!("{}", 2 * text.parse::<u64>().unwrap());
                service.publish(request.reply.unwrap(), doubled.into()).await.unwrap();
            }
        });
        let asking: Vec<_> = (0..50_u64)
            .map(|number| {
                let client = client.clone();
                heist::spawn(async move {
                    let answer = client.request("double", number.to_string().into()).await;
                    assert_eq!(answer.unwrap().payload, (2 * number).to_string());
                })
            })
            .collect();
        for asked in asking {
            asked.await.unwrap();
        }
        let mut silent = client.subscribe("silent").await.unwrap();
        client.flush().await.unwrap();
        let request = async_nats::Request::new()
            .timeout(Some(std::time::Duration::from_millis(10)))
            .payload("anything".into());
        let error = client.send_request("silent", request).await.unwrap_err();
        assert_eq!(error.kind(), async_nats::RequestErrorKind::TimedOut);
        assert_eq!(silent.next().await.unwrap().payload, "anything");
        answering.abort();
        client.drain().await.unwrap();
    });
}
