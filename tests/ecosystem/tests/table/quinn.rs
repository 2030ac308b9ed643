//! QUIC by `heist-quinn`.

use std::net::UdpSocket;
use std::sync::Arc;

use heist::spawn;
use heist_quinn::HeistRuntime;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig};

use crate::run;
use crate::tls::settings;

const STREAMS: u8 = 16;
const BYTES: usize = 512 << 10;

fn endpoint(config: Option<ServerConfig>) -> Endpoint {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    Endpoint::new(EndpointConfig::default(), config, socket, Arc::new(HeistRuntime)).unwrap()
}

/// Two connections of one endpoint, so that several tasks wait to send on one socket.
#[test]
fn quinn_transfers_megabytes_on_many_streams_of_two_connections() {
    run(async {
        let (client, server) = settings();
        let server = QuicServerConfig::try_from(server).unwrap();
        let server = endpoint(Some(ServerConfig::with_crypto(Arc::new(server))));
        let address = server.local_addr().unwrap();
        let echoes = spawn(async move {
            while let Some(incoming) = server.accept().await {
                spawn(echo(incoming));
            }
        });

        let mut near = endpoint(None);
        let client = QuicClientConfig::try_from(client).unwrap();
        near.set_default_client_config(ClientConfig::new(Arc::new(client)));
        let mut transfers = Vec::new();
        for _ in 0..2 {
            let connection = near.connect(address, "localhost").unwrap().await.unwrap();
            for number in 0..STREAMS {
                let connection = connection.clone();
                transfers.push(spawn(async move {
                    let (mut send, mut receive) = connection.open_bi().await.unwrap();
                    let sender = spawn(async move {
                        send.write_all(&vec![number; BYTES]).await.unwrap();
                        send.finish().unwrap();
                    });
                    let received = receive.read_to_end(BYTES).await.unwrap();
                    assert!(received.len() == BYTES && received.iter().all(|it| *it == number));
                    sender.await.unwrap();
                }));
            }
        }
        for transfer in transfers {
            transfer.await.unwrap();
        }
        near.close(0_u32.into(), b"done");
        near.wait_idle().await;
        echoes.abort();
    });
}

async fn echo(incoming: quinn::Incoming) {
    let connection = incoming.await.unwrap();
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        spawn(async move {
            while let Some(chunk) = receive.read_chunk(64 << 10, true).await.unwrap() {
                send.write_chunk(chunk.bytes).await.unwrap();
            }
            send.finish().unwrap();
        });
    }
}
