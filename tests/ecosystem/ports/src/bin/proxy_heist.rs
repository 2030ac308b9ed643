//! A TCP proxy: `proxy LISTEN UPSTREAM`. Either side may finish sending while the other goes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use heist::{
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    net::{TcpListener, TcpStream},
    signal::{SignalKind, signal},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Totals {
    connections: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
}

#[heist::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = arguments.as_slice() else {
        return Err("usage: proxy LISTEN UPSTREAM".into());
    };
    let listener = TcpListener::bind(listen.as_str()).await?;
    println!("listening on {}", listener.local_addr()?);

    let totals = Arc::new(Totals::default());
    heist::spawn(report(Arc::clone(&totals)));

    let mut relays = JoinSet::new();
    let mut stop = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        eprintln!("accept: {error}");
                        continue;
                    }
                };
                let (upstream, totals) = (upstream.clone(), Arc::clone(&totals));
                relays.spawn(async move {
                    totals.connections.fetch_add(1, Ordering::Relaxed);
                    match relay(client, &upstream).await {
                        Ok(bytes) => drop(totals.bytes.fetch_add(bytes, Ordering::Relaxed)),
                        Err(_) => drop(totals.failures.fetch_add(1, Ordering::Relaxed)),
                    }
                });
            }
            Some(relayed) = relays.join_next() => {
                if let Err(error) = relayed {
                    eprintln!("relay: {error}");
                }
            }
            _ = stop.recv() => break,
        }
    }

    drop(listener);
    let drained = timeout(DRAIN_TIMEOUT, async { while relays.join_next().await.is_some() {} });
    if drained.await.is_err() {
        relays.shutdown().await;
    }
    let bytes = totals.bytes.load(Ordering::Relaxed);
    println!("relayed {bytes} bytes");
    Ok(())
}

/// Passes everything on in both directions, and returns how many bytes that were.
async fn relay(client: TcpStream, upstream: &str) -> io::Result<u64> {
    let server = timeout(CONNECT_TIMEOUT, TcpStream::connect(upstream)).await??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let requests = heist::spawn(pump(client_read, server_write));
    let responses = pump(server_read, client_write).await?;
    let requests = requests.await??;
    Ok(requests + responses)
}

/// Passes bytes on until `from` has no more; then `to` is told so.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<u64> {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            to.shutdown().await?;
            return Ok(passed);
        }
        to.write_all(&buffer[..count]).await?;
        passed += count as u64;
    }
}

/// Prints the totals every ten seconds.
async fn report(totals: Arc<Totals>) {
    let mut ticks = interval(Duration::from_secs(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let connections = totals.connections.load(Ordering::Relaxed);
        let failures = totals.failures.load(Ordering::Relaxed);
        let bytes = totals.bytes.load(Ordering::Relaxed);
        eprintln!("{connections} connections, {failures} failed, {bytes} bytes");
    }
}
