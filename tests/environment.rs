//! What the other tests stand on: the real runtime and a PostgreSQL of our own, started and ended.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use diesel::{Connection, PgConnection, RunQueryDsl};
use serde_json::{Value, json};

use support::cog::CogRuntime;
use support::leash::{Leash, Stop, temporary_directory};
use support::postgres::PostgresCluster;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn every_test_gets_an_empty_database_of_its_own() {
    let cluster = PostgresCluster::shared();
    let (one, other) = (cluster.new_database(), cluster.new_database());
    assert_ne!(one, other);
    for url in [one, other] {
        let mut connection = PgConnection::establish(&url).expect("the server accepts us");
        diesel::sql_query("CREATE TABLE jobs (id text)")
            .execute(&mut connection)
            .expect("the database has no such table yet");
    }
}

#[test]
fn a_process_on_a_leash_and_its_directory_end_with_the_test_process() {
    let directory = temporary_directory("leash");
    let path = directory.path().to_owned();
    let mut sleep = Command::new("sh");
    sleep.args(["-c", "sleep 600 & echo $! > child; wait"]).current_dir(&path);
    let leash = Leash::start(directory, Stop::Kill, &sleep);
    let child = wait_for(|| std::fs::read_to_string(path.join("child")).ok()?.trim().parse().ok());
    assert!(is_running(child));

    // The end of this process would do the same: it closes the pipe.
    drop(leash);

    assert!(!path.exists());
    wait_for(|| (!is_running(child)).then_some(()));
}

#[actix_rt::test]
async fn the_real_runtime_reports_a_success_a_failure_and_a_cancel() {
    let hooks = Hooks::listen();
    let cog = CogRuntime::start().await;

    cog.create(&hooks.prediction("good", json!({"steps": 6}))).await;
    let end = hooks.end_of("good");
    assert_eq!(end["status"], "succeeded");
    let log = end["logs"].as_str().expect("a text");
    assert!(log.contains("\rEpoch 1/2, Steps:  33%|███▎      | 2/6 ["), "{log}");

    cog.wait_until_ready().await;
    cog.create(&hooks.prediction("bad", json!({"steps": 6, "fail": true}))).await;
    let end = hooks.end_of("bad");
    assert_eq!(end["status"], "failed");
    assert!(end["error"].as_str().is_some_and(|error| error.contains("out of memory at step 3")));

    cog.wait_until_ready().await;
    cog.create(&hooks.prediction("long", json!({"steps": 10_000}))).await;
    hooks.wait_for("long", |body| body["logs"].as_str().is_some_and(|log| log.contains("Steps:")));
    cog.cancel("long").await;
    assert_eq!(hooks.end_of("long")["status"], "canceled");
}

/// A receiver of webhooks on a port of its own.
struct Hooks {
    url: String,
    bodies: mpsc::Receiver<Value>,
}

impl Hooks {
    fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has free ports");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let (sender, bodies) = mpsc::channel();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // An error means that the test is over.
                let _ = sender.send(receive(connection));
            }
        });
        Self { url, bodies }
    }

    fn prediction(&self, id: &str, input: Value) -> Value {
        json!({"id": id, "input": input, "webhook": self.url, "webhook_events_filter": ["logs", "completed"]})
    }

    /// Waits for a run's last webhook.
    fn end_of(&self, id: &str) -> Value {
        self.wait_for(id, |body| body["status"] != "processing")
    }

    /// Waits for the first webhook of a run that is as we want it.
    fn wait_for(&self, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let body = self.bodies.recv_timeout(SOON).expect("a webhook arrives");
            if body["id"] == id && is_wanted(&body) {
                return body;
            }
        }
    }
}

/// Reads one request, answers 200 and closes the connection.
fn receive(mut connection: TcpStream) -> Value {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = connection.read(&mut buffer).expect("the runtime sends a request");
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request);
        // The body is one JSON object: when it parses, it is complete.
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            connection.write_all(answer.as_bytes()).expect("the runtime waits for the answer");
            return body;
        }
    }
}

/// Asks until there is an answer, and not for ever.
fn wait_for<T>(mut question: impl FnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(answer) = question() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no answer within {SOON:?}");
}

fn is_running(process: u32) -> bool {
    let status: PathBuf = Path::new("/proc").join(process.to_string()).join("status");
    // A zombie has ended; whoever inherited it has only not looked yet.
    std::fs::read_to_string(status).is_ok_and(|status| !status.contains("\nState:\tZ"))
}
