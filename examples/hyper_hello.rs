//! A hyper service on heist: `cargo run --example hyper_hello`, then `curl http://127.0.0.1:3000/`.
//!
//! The service is hyper's and knows nothing of heist. The server bounds what a client may do to it:
//! how long a head or body may be and take, and how many connections there are.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io::{self, Write};

use bytes::Bytes;
use heist::Server;
use heist::server::Listener;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn hello<B>(_request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!\n"))))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into()).parse()?;
    let listener = Listener::tcp(address)?;
    heist::Runtime::new()?.block_on(async {
        let server = Server::builder().listen(listener).http(service_fn(hello)).start()?;
        // Not `eprintln!`, which panics where this fails: the server works without the message.
        let _ = writeln!(io::stderr(), "serving on http://{}/", server.addresses()[0]);
        pending().await
    })
}
