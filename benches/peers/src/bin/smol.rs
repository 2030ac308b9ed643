//! async-executor with async-io, put together as smol does: each thread runs the executor and
//! waits in the reactor.

use std::future::pending;
use std::net::{TcpListener, TcpStream};

use async_executor::Executor;
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

static EXECUTOR: Executor<'static> = Executor::new();

async fn serve(mut stream: Async<TcpStream>) -> std::io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
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
    let listener = Async::<TcpListener>::bind(address)?;
    heist_peers::deepen(&listener)?;
    let accepting = EXECUTOR.spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                EXECUTOR.spawn(serve(stream)).detach();
            }
        }
    });
    for _ in 1..workers {
        std::thread::spawn(|| async_io::block_on(EXECUTOR.run(pending::<()>())));
    }
    async_io::block_on(EXECUTOR.run(accepting))
}
