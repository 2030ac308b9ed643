//! tokio's multi-threaded runtime.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut input, mut output) = (vec![0; 4096], Vec::with_capacity(4096));
    let mut filled = 0;
    loop {
        let count = stream.read(&mut input[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let answered = heist_peers::answer(&input[..filled], &mut output);
        input.copy_within(answered.taken..filled, 0);
        filled -= answered.taken;
        stream.write_all(&output).await?;
        output.clear();
        if answered.close {
            return Ok(());
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
                    tokio::spawn(serve(stream));
                }
            }
        });
        accepting.await.map_err(std::io::Error::other)
    })
}
