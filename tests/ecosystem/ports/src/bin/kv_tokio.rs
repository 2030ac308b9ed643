//! A key-value service over HTTP: `kv LISTEN`. Values expire; digests are computed off the workers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tower_http::limit::RequestBodyLimitLayer;

const TIME_TO_LIVE: Duration = Duration::from_secs(60);
const DIGEST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Default)]
struct Store(Arc<Shared>);

#[derive(Default)]
struct Shared {
    entries: RwLock<HashMap<String, Entry>>,
    expired: AtomicU64,
    requests: AtomicU64,
}

struct Entry {
    value: Bytes,
    expires: Instant,
}

#[derive(Serialize)]
struct Statistics {
    client: SocketAddr,
    entries: usize,
    expired: u64,
    requests: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: kv LISTEN")?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        interrupt.recv().await;
    };
    let store = Store::default();
    tokio::spawn(expire(store.clone()));

    let app = Router::new()
        .route("/keys/{key}", get(read).put(write).delete(remove))
        .route("/keys/{key}/digest", get(digest))
        .route("/slow", get(slow))
        .route("/statistics", get(statistics))
        .layer(RequestBodyLimitLayer::new(1024 * 1024))
        .with_state(store);

    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await?;
    println!("drained");
    Ok(())
}

async fn read(State(store): State<Store>, Path(key): Path<String>) -> Result<Bytes, StatusCode> {
    store.0.requests.fetch_add(1, Ordering::Relaxed);
    store.value(&key).ok_or(StatusCode::NOT_FOUND)
}

async fn write(
    State(store): State<Store>,
    Path(key): Path<String>,
    value: Bytes,
) -> impl IntoResponse {
    store.0.requests.fetch_add(1, Ordering::Relaxed);
    let entry = Entry { value, expires: Instant::now() + TIME_TO_LIVE };
    match store.0.entries.write().unwrap().insert(key, entry) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::CREATED,
    }
}

async fn remove(State(store): State<Store>, Path(key): Path<String>) -> StatusCode {
    store.0.requests.fetch_add(1, Ordering::Relaxed);
    match store.0.entries.write().unwrap().remove(&key) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

/// A digest that takes long to compute, and so would hold a worker up.
async fn digest(
    State(store): State<Store>,
    Path(key): Path<String>,
) -> Result<String, (StatusCode, String)> {
    let value = store.value(&key).ok_or((StatusCode::NOT_FOUND, String::new()))?;
    let computed = spawn_blocking(move || {
        let fold = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        (0..100).fold(0xcbf2_9ce4_8422_2325, |sum, _| value.iter().fold(sum, fold))
    });
    match timeout(DIGEST_TIMEOUT, computed).await {
        Ok(Ok(digest)) => Ok(format!("{digest:016x}\n")),
        Ok(Err(error)) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, "the digest took too long\n".to_owned())),
    }
}

/// A request that is under way for a while, for instance when a drain begins.
async fn slow(State(store): State<Store>) -> &'static str {
    store.0.requests.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_secs(1)).await;
    "done\n"
}

async fn statistics(
    State(store): State<Store>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
) -> Json<Statistics> {
    let entries = store.0.entries.read().unwrap().len();
    let expired = store.0.expired.load(Ordering::Relaxed);
    let requests = store.0.requests.load(Ordering::Relaxed);
    Json(Statistics { client, entries, expired, requests })
}

/// Removes values whose time is over, once a second.
async fn expire(store: Store) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = ticks.tick().await;
        let mut entries = store.0.entries.write().unwrap();
        let before = entries.len();
        entries.retain(|_, entry| entry.expires > now);
        store.0.expired.fetch_add((before - entries.len()) as u64, Ordering::Relaxed);
    }
}

impl Store {
    fn value(&self, key: &str) -> Option<Bytes> {
        let entries = self.0.entries.read().unwrap();
        entries.get(key).map(|entry| entry.value.clone())
    }
}
