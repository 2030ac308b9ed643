//! WebSocket of others over heist's streams.

use futures::{SinkExt, StreamExt};

use crate::{connected, run};

const MESSAGES: usize = 1000;

#[test]
fn async_tungstenite_runs_over_a_stream() {
    use async_tungstenite::tungstenite::Message;
    run(async {
        let (near, far) = connected().await;
        let server = heist::spawn(async move {
            let mut socket = async_tungstenite::accept_async(far).await.unwrap();
            while let Some(message) = socket.next().await {
                match message.unwrap() {
                    Message::Close(_) => break,
                    message => socket.send(message).await.unwrap(),
                }
            }
        });
        let (mut socket, answer) =
            async_tungstenite::client_async("ws://localhost/", near).await.unwrap();
        assert_eq!(answer.status(), 101);
        for number in 0..MESSAGES {
            socket.send(Message::text(number.to_string())).await.unwrap();
            let echo = socket.next().await.unwrap().unwrap();
            assert_eq!(echo.into_text().unwrap().as_str(), number.to_string());
        }
        socket.close(None).await.unwrap();
        server.await.unwrap();
    });
}

#[test]
fn tokio_tungstenite_runs_over_a_stream_without_tokios_runtime() {
    use tokio_tungstenite::tungstenite::Message;
    run(async {
        let (near, far) = connected().await;
        let server = heist::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(far).await.unwrap();
            while let Some(message) = socket.next().await {
                match message.unwrap() {
                    Message::Close(_) => break,
                    message => socket.send(message).await.unwrap(),
                }
            }
        });
        let (mut socket, answer) =
            tokio_tungstenite::client_async("ws://localhost/", near).await.unwrap();
        assert_eq!(answer.status(), 101);
        for number in 0..MESSAGES {
            socket.send(Message::text(number.to_string())).await.unwrap();
            let echo = socket.next().await.unwrap().unwrap();
            assert_eq!(echo.into_text().unwrap().as_str(), number.to_string());
        }
        socket.close(None).await.unwrap();
        server.await.unwrap();
    });
}
