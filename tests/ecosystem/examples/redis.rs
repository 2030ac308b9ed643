//! A few connections to Redis, shared by many tasks, with a bound on each wait: `redis URL`, where the
//! URL is one such as `redis://localhost:6379`.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_lock::Mutex;
use heist::net::{Stream, TcpStream, UnixStream};
use heist::task::JoinSet;
use heist::time::timeout;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue};

/// Each carries the commands of many tasks at once. More than one, as the server answers the commands
/// of a connection in order, and a large answer holds up those behind it.
const CONNECTIONS: usize = 4;
/// For a look-up of the name, the connection and the log-in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

type BoxError = Box<dyn Error + Send + Sync>;

#[heist::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).ok_or("usage: redis URL")?;
    let sum = run(Arc::new(Pool::new(Client::open(url)?))).await?;
    println!("100 tasks over {CONNECTIONS} connections; their numbers add up to {sum}");
    Ok(())
}

/// Has a hundred tasks add a number each to a key, and returns the sum.
pub async fn run(pool: Arc<Pool>) -> Result<i64, BoxError> {
    let () = pool.query(redis::cmd("DEL").arg("numbers")).await?;
    let mut tasks = JoinSet::new();
    for number in 1..=100_i64 {
        let pool = Arc::clone(&pool);
        tasks.spawn(async move {
            pool.query::<i64>(redis::cmd("INCRBY").arg("numbers").arg(number)).await
        });
    }
    while let Some(added) = tasks.join_next().await {
        added??;
    }
    pool.query(redis::cmd("GET").arg("numbers")).await
}

/// Connections that are opened when they are first used, and again after they were lost.
pub struct Pool {
    client: Client,
    /// Holding one of these = the right to open this connection.
    connections: [Mutex<Option<MultiplexedConnection>>; CONNECTIONS],
    /// Counts the commands. Relaxed: it only spreads them.
    turn: AtomicUsize,
}

impl Pool {
    /// A pool without a connection yet.
    pub fn new(client: Client) -> Pool {
        Pool { client, connections: Default::default(), turn: AtomicUsize::new(0) }
    }

    /// Sends a command, and returns its answer.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BoxError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let mut connection = self.connection(turn).await?;
        let answer = timeout(COMMAND_TIMEOUT, command.query_async(&mut connection)).await?;
        if answer.as_ref().is_err_and(|error: &redis::RedisError| error.is_unrecoverable_error()) {
            // The next command opens another. At worst, one that was just opened is dropped.
            *self.connections[turn].lock().await = None;
        }
        Ok(answer?)
    }

    async fn connection(&self, turn: usize) -> Result<MultiplexedConnection, BoxError> {
        let mut slot = self.connections[turn].lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let connection = timeout(CONNECT_TIMEOUT, connect(&self.client)).await??;
        Ok(slot.insert(connection).clone())
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, BoxError> {
    let info = client.get_connection_info();
    let stream: Stream = match info.addr() {
        ConnectionAddr::Tcp(host, port) => TcpStream::connect((host.as_str(), *port)).await?.into(),
        ConnectionAddr::Unix(path) => UnixStream::connect(path).await?.into(),
        _ => return Err("only redis:// and unix:// are spoken here".into()),
    };
    // The time-outs are those above: redis' own need a runtime that it knows.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (connection, driver) =
        MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
    // It passes commands and answers on, and ends with the last clone of the connection.
    heist::spawn(driver);
    Ok(connection)
}
