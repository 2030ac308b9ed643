//! A hello over HTTP/1.1, and at `/ws` an echo over WebSocket: hyper and tokio-tungstenite on tokio.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;

async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/ws" {
        return heist_peers::web::hello(request).await;
    }
    let Ok(response) = create_response_with_body(&request, Full::default) else {
        return heist_peers::web::hello(request).await;
    };
    tokio::spawn(echo(hyper::upgrade::on(&mut request)));
    Ok(response)
}

async fn echo(upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let stream = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() || socket.send(message).await.is_err() {
            break;
        }
    }
}

fn main() -> std::io::Result<()> {
    let (workers, address) = heist_peers::arguments();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        heist_peers::deepen(&listener)?;
        let accepting = tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(async move {
                        let service = service_fn(answer);
                        let http = http1::Builder::new();
                        let served = http.serve_connection(TokioIo::new(stream), service);
                        let _ = served.with_upgrades().await;
                    });
                }
            }
        });
        accepting.await.map_err(std::io::Error::other)
    })
}
