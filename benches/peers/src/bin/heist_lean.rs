//! heist's `async` sockets, in a connection that holds no buffer while it waits: each poll reads
//! into its thread's.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, ready};

use heist::net::{TcpListener, TcpStream};

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> =
        RefCell::new((vec![0; 64 * 1024], Vec::with_capacity(64 * 1024)));
}

/// Reads what there is, answers it, and gives back what could not be written and whether to go on.
/// Here, a request that comes in pieces ends the connection: there is nowhere to keep them.
async fn turn(stream: &mut TcpStream) -> std::io::Result<(Vec<u8>, bool)> {
    poll_fn(|cx| {
        BUFFERS.with_borrow_mut(|(input, output)| {
            let count = ready!(stream.poll_read(cx, input))?;
            output.clear();
            let answered = heist_peers::answer(&input[..count], output);
            let go_on = count > 0 && answered.taken == count && !answered.close;
            let written = match stream.poll_write(cx, output) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            Poll::Ready(Ok((output[written..].to_vec(), go_on)))
        })
    })
    .await
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let (rest, go_on) = turn(&mut stream).await?;
        if !rest.is_empty() {
            stream.write_all(&rest).await?;
        }
        if !go_on {
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
                    drop(heist::spawn(serve(stream)));
                }
            }
        });
        Ok(accepting.await?)
    })
}
