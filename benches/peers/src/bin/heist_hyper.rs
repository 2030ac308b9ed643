//! hyper on heist's sockets.

use heist::net::TcpListener;
use hyper::server::conn::http1;
use hyper::service::service_fn;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    heist::Builder::new().workers(workers).start()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let accepting: heist::JoinHandle<()> = heist::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    drop(heist::spawn(async move {
                        let service = service_fn(heist_peers::web::hello);
                        let _ = http1::Builder::new().serve_connection(stream, service).await;
                    }));
                }
            }
        });
        Ok(accepting.await?)
    })
}
