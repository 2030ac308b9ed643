//! An unmodified hyper service on heist: `cargo run --example hyper_hello`, then
//! `curl http://127.0.0.1:3000/`.
//!
//! Only three names are heist's: the socket, which hyper reads and writes, the timer behind its
//! time-outs, and `spawn`.

use std::convert::Infallible;

use bytes::Bytes;
use heist::net::{HyperTimer, TcpListener};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!\n"))))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into()).parse()?;
    heist::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(address)?;
        eprintln!("serving on http://{}/", listener.local_addr()?);
        loop {
            let (stream, _peer) = listener.accept().await?;
            drop(heist::spawn(async move {
                let mut server = http1::Builder::new();
                server.timer(HyperTimer);
                if let Err(error) = server.serve_connection(stream, service_fn(hello)).await {
                    eprintln!("a connection failed: {error}");
                }
            }));
        }
    })
}
