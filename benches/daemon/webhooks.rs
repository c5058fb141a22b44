//! Signed webhooks that are answered after their commit, against the rate at which SQLite commits
//! rows one by one on the same disk.
//!
//! The second is what a daemon can do that commits each delivery by itself, before it has done
//! anything else. It is the disk's and the file system's figure, so that only the ratio counts.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::sql_types::Text;
use diesel::{RunQueryDsl, SqliteConnection};
use futures_util::future::try_join_all;

use crate::Effort;
use crate::client::{Connection, on_own_thread};
use crate::figures::{Figure, Goal, in_thousands, median};
use crate::stand::{Database, Stand};
use crate::webhook::{self, SECRET_SETTING, Tells};

const CONNECTIONS: usize = 256;

/// Measures deliveries and single commits by turns.
pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let database = Database::new();
    let stand = Stand::start(&database, &[SECRET_SETTING]);
    let jobs = effort.choose(24, 6);
    let lasting = Duration::from_millis(effort.choose(1_000, 300));
    let rates = (0..effort.rounds())
        .map(|round| (deliveries_a_second(stand.address, round, jobs), commits_a_second(lasting)));
    let (deliveries, commits): (Vec<_>, Vec<_>) = rates.unzip();
    stand.stop();
    let ratios: Vec<_> = deliveries.iter().zip(&commits).map(|(ours, one)| ours / one).collect();
    vec![Figure {
        what: format!("webhooks at {CONNECTIONS} connections, times the rate of single commits"),
        median: median(&ratios),
        unit: "",
        goal: Goal::AtLeast(3.0),
        details: format!(
            "{} against {}",
            in_thousands(median(&deliveries)),
            in_thousands(median(&commits)),
        ),
    }]
}

/// Each connection tells of the start and of the end of so many jobs of its own, one after the
/// other, as fast as it is answered.
fn deliveries_a_second(address: SocketAddr, round: usize, jobs: usize) -> f64 {
    let key = webhook::key();
    let told = |connection: usize| {
        (0..jobs)
            .flat_map(|job| {
                let id = format!("r{round:05}c{connection:05}j{job:013}");
                [Tells::Start, Tells::Completed].map(|tells| webhook::request(&key, &id, tells))
            })
            .collect()
    };
    let by_connection: Vec<Vec<_>> = (0..CONNECTIONS).map(told).collect();
    let count = by_connection.iter().map(Vec::len).sum::<usize>();
    let took = on_own_thread(move || async move {
        let mut open = Vec::with_capacity(CONNECTIONS);
        for requests in by_connection {
            open.push((Connection::open(address).await?, requests));
        }
        let began = Instant::now();
        try_join_all(open.into_iter().map(|(mut connection, requests)| async move {
            for request in requests {
                let answer = connection.ask(&request).await?;
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
            }
            io::Result::Ok(())
        }))
        .await?;
        Ok(began.elapsed())
    });
    count as f64 / took.as_secs_f64()
}

/// Inserts bodies of webhooks as rows, each in a commit of its own that survives a power cut.
fn commits_a_second(lasting: Duration) -> f64 {
    let database = Database::new();
    let file = database.file();
    let mut connection =
        SqliteConnection::establish(&file.to_string_lossy()).expect("a new database");
    connection
        .batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE deliveries (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        )
        .expect("a table");
    let body = webhook::body("single", Tells::Completed);
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < lasting {
        diesel::sql_query("INSERT INTO deliveries (body) VALUES (?)")
            .bind::<Text, _>(&body)
            .execute(&mut connection)
            .expect("a row");
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}
