//! `sqlx` with its tokio runtime, and a server of PostgreSQL.

use heist_ecosystem::postgres::Postgres;
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::{Beside, GUARD};

async fn pool(server: &Postgres, connections: u32) -> PgPool {
    let options = PgConnectOptions::new()
        .host(server.socket_directory().to_str().unwrap())
        .username("postgres")
        .database("postgres");
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(GUARD)
        .connect_with(options)
        .await
        .unwrap()
}

#[test]
fn pooled_queries_run_and_a_dropped_transaction_is_rolled_back() {
    let test = "pooled_queries_run_and_a_dropped_transaction_is_rolled_back";
    let Some(server) = Postgres::start(test) else { return };
    Beside::new().run(async move {
        let pool = pool(&server, 4).await;
        sqlx::query("CREATE TABLE numbers (number BIGINT)").execute(&pool).await.unwrap();
        let inserts: Vec<_> = (0..64_i64)
            .map(|number| {
                let pool = pool.clone();
                heist::spawn(async move {
                    let insert = sqlx::query("INSERT INTO numbers VALUES ($1)").bind(number);
                    insert.execute(&pool).await.unwrap();
                })
            })
            .collect();
        for insert in inserts {
            insert.await.unwrap();
        }
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("DELETE FROM numbers").execute(&mut *transaction).await.unwrap();
        // The pool spawns the roll-back onto tokio, from this destructor.
        drop(transaction);
        let row = sqlx::query("SELECT SUM(number)::BIGINT FROM numbers").fetch_one(&pool).await;
        assert_eq!(row.unwrap().get::<i64, _>(0), (0..64).sum::<i64>());
        pool.close().await;
    });
}

#[test]
fn full_pool_is_an_error_after_its_time_out() {
    let Some(server) = Postgres::start("full_pool_is_an_error_after_its_time_out") else { return };
    Beside::new().run(async move {
        let patient = pool(&server, 1).await;
        let hasty = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(std::time::Duration::from_millis(10))
            .connect_lazy_with((*patient.connect_options()).clone());
        // A first connection may take longer than the time-out on a loaded machine.
        let held = loop {
            match hasty.acquire().await {
                Ok(connection) => break connection,
                Err(sqlx::Error::PoolTimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert!(matches!(hasty.acquire().await, Err(sqlx::Error::PoolTimedOut)));
        drop(held);
        patient.close().await;
        hasty.close().await;
    });
}
