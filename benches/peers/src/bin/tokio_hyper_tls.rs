//! hyper on tokio behind tokio-rustls: HTTP/2 or HTTP/1.1, as ALPN says.

use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

async fn serve(stream: TcpStream, acceptor: TlsAcceptor) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (stream, service) = (TokioIo::new(stream), service_fn(heist_peers::web::hello));
    let _ = match http2 {
        true => {
            let builder = http2::Builder::new(TokioExecutor::new());
            builder.serve_connection(stream, service).await
        }
        false => http1::Builder::new().serve_connection(stream, service).await,
    };
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let acceptor = TlsAcceptor::from(Arc::new(heist_peers::tls::config()?));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        heist_peers::deepen(&listener)?;
        let accepting = tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(stream, acceptor.clone()));
                }
            }
        });
        Ok(accepting.await?)
    })
}
