//! heist on many cores: `stress WORKERS ADDRESS echo|http`. `HEIST_SHARDS` in the environment sets
//! how many shards its event queue has. A line on its standard input makes it print as one line of
//! JSON what its workers have counted so far.

use std::convert::Infallible;

use heist::net::TcpListener;
use heist::protocol::{Connection, Context, Error, Protocol};

struct Http;

impl Protocol for Http {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let answered = heist_peers::answer(input, cx.output());
        if answered.close {
            cx.finish();
        }
        Ok(answered.taken)
    }
}

struct Echo;

impl Protocol for Echo {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        cx.output().extend_from_slice(input);
        Ok(input.len())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (workers, address) = heist_peers::arguments();
    let runtime = heist::Builder::new().workers(workers).start()?;
    let handle = runtime.handle().clone();
    std::thread::spawn(move || tell(&handle));
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let accepting: heist::JoinHandle<()> = match std::env::args().nth(3).as_deref() {
            Some("echo") => heist::spawn(accept(listener, || Echo)),
            _ => heist::spawn(accept(listener, || Http)),
        };
        Ok(accepting.await?)
    })
}

async fn accept<P: Protocol>(listener: TcpListener, protocol: fn() -> P) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            heist::spawn(Connection::new(stream, protocol()));
        }
    }
}

/// Answers each line of the standard input until it ends.
fn tell(handle: &heist::Handle) {
    while std::io::stdin().read_line(&mut String::new()).is_ok_and(|count| count > 0) {
        let metrics = handle.metrics();
        let sum =
            |figure: fn(&heist::WorkerMetrics) -> u64| metrics.workers.iter().map(figure).sum();
        let figures: [(&str, u64); 11] = [
            ("polls", sum(|worker| worker.polls)),
            ("events", sum(|worker| worker.events)),
            ("spurious_events", sum(|worker| worker.spurious_events)),
            ("listens", sum(|worker| worker.listens)),
            ("parks", sum(|worker| worker.parks)),
            ("useful_wakes", sum(|worker| worker.useful_wakes)),
            ("empty_wakes", sum(|worker| worker.empty_wakes)),
            ("steals", sum(|worker| worker.steal_hits)),
            ("failed_steals", sum(|worker| worker.steal_misses)),
            ("stolen_tasks", sum(|worker| worker.stolen_tasks)),
            ("rescues", metrics.rescues),
        ];
        let fields = figures.map(|(name, count)| format!("\"{name}\": {count}"));
        println!("{{{}}}", fields.join(", "));
    }
}
