//! Uploads and a hello: hyper on tokio, as its guide has it.

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

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
                        let service = service_fn(heist_peers::web::upload);
                        let stream = TokioIo::new(stream);
                        let _ = http1::Builder::new().serve_connection(stream, service).await;
                    });
                }
            }
        });
        accepting.await.map_err(std::io::Error::other)
    })
}
