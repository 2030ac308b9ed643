//! The examples of databases, against the real servers.

#[allow(dead_code)]
#[path = "../../examples/postgres.rs"]
mod postgres;
#[allow(dead_code)]
#[path = "../../examples/redis.rs"]
mod redis_pool;

use std::sync::Arc;

use heist_ecosystem::postgres::Postgres;
use heist_ecosystem::redis::Redis;
use redis_pool::Pool;

#[test]
fn tasks_share_a_pool_of_postgres_that_replaces_lost_connections() {
    let Some(server) = Postgres::start("tasks_share_a_pool_of_postgres") else { return };
    let directory = server.socket_directory().display().to_string().replace('/', "%2F");
    let pool = postgres::open(&format!("postgres://postgres@{directory}/postgres")).unwrap();
    heist::Runtime::new().unwrap().block_on(async {
        assert_eq!(postgres::run(&pool).await.unwrap(), 5050);
        assert!((1..=8).contains(&pool.status().size), "{:?}", pool.status());

        // A row for each connection that is ended: all but that of the statement.
        let client = postgres::client(&pool).await.unwrap();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let ended = client.query(end, &[]).await.unwrap();
        assert_eq!(ended.len(), pool.status().size - 1);
        drop(client);
        // Each of them fails once at most, with the statement that finds it lost.
        let mut failures = 0;
        while postgres::run(&pool).await.is_err() {
            failures += 1;
            assert!(failures <= ended.len());
        }
    });
}

#[test]
fn tasks_share_connections_to_redis_that_are_opened_again_when_lost() {
    let Some(server) = Redis::start("tasks_share_connections_to_redis") else { return };
    for url in [
        format!("redis://{}", server.address()),
        format!("redis+unix://{}", server.unix_socket().display()),
    ] {
        let pool = Arc::new(Pool::new(redis::Client::open(url).unwrap()));
        heist::Runtime::new().unwrap().block_on(async {
            assert_eq!(redis_pool::run(Arc::clone(&pool)).await.unwrap(), 5050);
            // Ends all connections, this one behind the answer.
            let mut kill = redis::cmd("CLIENT");
            kill.arg("KILL").arg("SKIPME").arg("no");
            let ended: usize = pool.query(&kill).await.unwrap();
            assert_eq!(ended, 4);
            // Each connection fails once at most, with the command that finds it lost.
            let mut failures = 0;
            while redis_pool::run(Arc::clone(&pool)).await.is_err() {
                failures += 1;
                assert!(failures <= 4);
            }
        });
    }
}
