//! heist's `Protocol` engine.

use std::convert::Infallible;

use heist::net::TcpListener;
use heist::protocol::{Connection, Context, Error, Protocol};

struct Plaintext;

impl Protocol for Plaintext {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        Ok(heist_peers::answer(input, cx.output()))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    heist::Builder::new().workers(workers).start()?.block_on(async {
        let listener = TcpListener::bind(address)?;
        let accepting: heist::JoinHandle<()> = heist::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    heist::spawn(Connection::new(stream, Plaintext));
                }
            }
        });
        Ok(accepting.await?)
    })
}
