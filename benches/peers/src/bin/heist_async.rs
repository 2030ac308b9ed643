//! heist's `async` sockets.

use heist::net::{TcpListener, TcpStream};

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    heist::Builder::new().workers(workers).start()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let accepting: heist::JoinHandle<()> = heist::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    heist::spawn(serve(stream));
                }
            }
        });
        Ok(accepting.await?)
    })
}
