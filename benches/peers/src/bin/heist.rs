//! heist's `Protocol` engine. `HEIST_PEERS_SCRAPE` in the environment reads all its figures once a
//! second, as Prometheus would.

use std::convert::Infallible;
use std::time::Duration;

use heist::net::TcpListener;
use heist::protocol::{Connection, Context, Error, Protocol};

struct Plaintext;

impl Protocol for Plaintext {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let answered = heist_peers::answer(input, cx.output());
        if answered.close {
            cx.close();
        }
        Ok(answered.taken)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    heist::Builder::new().workers(workers).start()?.block_on(async {
        if std::env::var_os("HEIST_PEERS_SCRAPE").is_some() {
            scrape();
        }
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

fn scrape() {
    let handle = heist::Handle::current();
    std::thread::spawn(move || {
        loop {
            std::hint::black_box(format!("{:?}", handle.metrics()));
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}
