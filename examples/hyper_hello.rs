//! A hyper service on heist: `cargo run --example hyper_hello`, then `curl http://127.0.0.1:3000/`.
//!
//! The service is hyper's and knows nothing of heist. The server bounds what a client may do to it:
//! how long a head or body may be and take, and how many connections there are. Ctrl-C
//! and SIGTERM drain it.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Write};

use bytes::Bytes;
use heist::server::Listener;
use heist::{Server, signal};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn hello<B>(_request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!\n"))))
}

#[heist::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into()).parse()?;
    let listener = Listener::tcp(address)?;
    // From here on the signals no longer end the process by themselves.
    let stop = signal::terminate();
    let server = Server::builder().listen(listener).http(service_fn(hello)).start()?;
    // Not `eprintln!`, which panics where this fails: the server works without the message.
    let _ = writeln!(io::stderr(), "serving on http://{}/", server.addresses()[0]);
    let report = server.run_until(stop).await;
    let _ = writeln!(io::stderr(), "stopped: {report}");
    Ok(())
}
