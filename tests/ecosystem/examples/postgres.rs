//! A pool of connections to PostgreSQL, with a bound on each wait: `postgres URL`, where the URL is one
//! such as `postgres://user:password@localhost/database`.

use std::error::Error;
use std::io;
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult};
use heist::net::{Stream, TcpStream, UnixStream};
use heist::task::JoinSet;
use heist::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

/// The most connections that the pool opens.
const CONNECTIONS: usize = 8;
/// For a look-up of the name, the connection and the log-in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a connection of the pool to become free.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);
/// For one statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

type BoxError = Box<dyn Error + Send + Sync>;
pub type Pool = managed::Pool<Connector>;

#[heist::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).ok_or("usage: postgres URL")?;
    let sum = run(&open(&url)?).await?;
    println!("100 tasks over {CONNECTIONS} connections; their numbers add up to {sum}");
    Ok(())
}

/// A pool without a connection yet: each is opened when there is none free.
pub fn open(url: &str) -> Result<Pool, BoxError> {
    Ok(Pool::builder(Connector { config: url.parse()? }).max_size(CONNECTIONS).build()?)
}

/// Has a hundred tasks write a row each, and returns the sum of the rows.
pub async fn run(pool: &Pool) -> Result<i64, BoxError> {
    let client = client(pool).await?;
    let create = "CREATE TABLE IF NOT EXISTS numbers (number bigint); TRUNCATE numbers";
    timeout(STATEMENT_TIMEOUT, client.batch_execute(create)).await??;

    let mut tasks = JoinSet::new();
    for number in 1..=100_i64 {
        let pool = pool.clone();
        tasks.spawn(async move { insert(&pool, number).await });
    }
    while let Some(inserted) = tasks.join_next().await {
        inserted??;
    }

    let query = client.query_one("SELECT sum(number)::bigint FROM numbers", &[]);
    Ok(timeout(STATEMENT_TIMEOUT, query).await??.get(0))
}

async fn insert(pool: &Pool, number: i64) -> Result<(), BoxError> {
    let mut client = client(pool).await?;
    let transaction = client.transaction().await?;
    let insert = async {
        transaction.execute("INSERT INTO numbers VALUES ($1)", &[&number]).await?;
        transaction.commit().await
    };
    // A statement that is given up goes on in the database: the connection is not used again.
    let inserted = timeout(STATEMENT_TIMEOUT, insert).await;
    if inserted.is_err() {
        drop(Object::take(client));
    }
    Ok(inserted??)
}

/// A connection of the pool. It is given back when it is dropped.
pub async fn client(pool: &Pool) -> Result<Object<Connector>, BoxError> {
    Ok(timeout(POOL_TIMEOUT, pool.get()).await??)
}

/// Opens the connections of the pool.
pub struct Connector {
    config: Config,
}

impl managed::Manager for Connector {
    type Type = Client;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Client> {
        let connect = async {
            let stream = connect(&self.config).await?;
            self.config.connect_raw(stream, NoTls).await.map_err(io::Error::other)
        };
        let (client, connection) = timeout(CONNECT_TIMEOUT, connect).await??;
        // It passes requests and answers on, and ends with the client.
        heist::spawn(connection);
        Ok(client)
    }

    async fn recycle(&self, client: &mut Client, _: &Metrics) -> RecycleResult<io::Error> {
        match client.is_closed() {
            true => Err(RecycleError::message("the database has closed the connection")),
            false => Ok(()),
        }
    }
}

/// Connects to the first host of `config`, by TCP or by a Unix socket.
async fn connect(config: &Config) -> io::Result<Stream> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(host)) => Ok(TcpStream::connect((host.as_str(), port)).await?.into()),
        Some(Host::Unix(directory)) => {
            let path = directory.join(format!(".s.PGSQL.{port}"));
            Ok(UnixStream::connect(path).await?.into())
        }
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "the URL names no host")),
    }
}
