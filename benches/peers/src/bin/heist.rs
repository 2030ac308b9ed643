//! heist's `Protocol` engine on a server, with every limit in force that concerns a connection.
//! `HEIST_PEERS_SCRAPE` in the environment makes a page for Prometheus once a second.

use std::convert::Infallible;
use std::time::Duration;

use heist::export::Exporter;
use heist::protocol::{Context, Error, Protocol};
use heist::server::{Limits, Listener, Peer};

struct Plaintext;

impl Protocol for Plaintext {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let answered = heist_peers::answer(input, cx.output());
        if answered.close {
            cx.finish();
        }
        Ok(answered.taken)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let listener = Listener::tcp(address)?;
    let runtime = heist::Builder::new().workers(workers).start()?;
    let server = heist::Server::builder()
        .listen(listener)
        .limits(Limits { connections: 1 << 20, shed: false, ..Limits::default() })
        .protocol(|_: &Peer| Plaintext)
        .start_on(runtime.handle())?;
    if std::env::var_os("HEIST_PEERS_SCRAPE").is_some() {
        scrape(runtime.handle(), server);
    }
    loop {
        std::thread::park();
    }
}

/// Makes a whole page for Prometheus once a second.
fn scrape(runtime: &heist::Handle, server: heist::Server) -> ! {
    let exporter = Exporter::new();
    exporter.runtime("main", runtime);
    exporter.server("main", "server", move || server.metrics());
    loop {
        std::hint::black_box(exporter.render());
        std::thread::sleep(Duration::from_secs(1));
    }
}
