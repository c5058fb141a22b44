//! SIGKILL under load: many senders of signed webhooks, some readers of the event stream, and a
//! daemon that is killed without warning, again and again.
//!
//! `KILLS` says how often, `SEED` which run. When the process is killed is counted in answers, so that
//! it always dies at work; what else is under way at that moment is up to the machine.

#![allow(clippy::print_stdout, reason = "a long run shows how far it is")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use awc::Client;
use diesel::connection::SimpleConnection as _;
use diesel::deserialize::QueryableByName;
use diesel::sql_types::Text;
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::daemon::{Backend, SOON, TestDatabase};
use crate::support::process::{Home, Process};
use crate::support::stream::EventStream;
use crate::support::webhook::{ROUTE, SECRET, Signer};

const SENDERS: usize = 16;
const SUBSCRIBERS: usize = 4;
/// The states through which every job goes.
const LIFE: [&str; 3] = ["starting", "processing", "succeeded"];
/// What the daemon calls them.
const STATUSES: [&str; 3] = ["queued", "running", "completed"];

/// A webhook as its sender remembers it.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    job: String,
    stage: usize,
}

impl Message {
    fn body(&self) -> Vec<u8> {
        let status = LIFE[self.stage];
        let logs = "training\n".repeat(20 * self.stage);
        json!({"id": self.job, "status": status, "logs": logs, "model": "a/trainer"})
            .to_string()
            .into_bytes()
    }
}

/// Everything that the outside world knows of the daemon, whatever becomes of it.
#[derive(Default)]
struct World {
    /// How far each job was acknowledged.
    acknowledged: RefCell<HashMap<String, usize>>,
    /// The messages that were acknowledged since the last kill.
    lately: RefCell<Vec<Message>>,
    /// Every event that anybody ever saw, by its position.
    seen: RefCell<BTreeMap<i64, String>>,
    answers: Cell<u64>,
    kill_at: Cell<u64>,
    is_time: Notify,
}

impl World {
    fn acknowledge(&self, message: &Message) {
        self.acknowledged.borrow_mut().insert(message.job.clone(), message.stage);
        self.lately.borrow_mut().push(message.clone());
        self.answers.set(self.answers.get() + 1);
        if self.answers.get() >= self.kill_at.get() {
            self.is_time.notify_one();
        }
    }

    /// What is said under one position is the same for everybody, for ever.
    fn see(&self, seq: i64, data: String) {
        let known = self.seen.borrow_mut().entry(seq).or_insert_with(|| data.clone()).clone();
        assert_eq!(known, data, "event {seq} was told in two ways");
    }
}

/// Somebody who sends webhooks of one job after the other. A message that was not answered is sent
/// again, as providers do.
struct Sender {
    name: usize,
    jobs: usize,
    next: Message,
}

impl Sender {
    fn new(name: usize) -> Self {
        Self { name, jobs: 0, next: Message::of_job(name, 0, 0) }
    }

    /// Sends until the daemon is gone.
    async fn send(&mut self, url: &str, world: &World) {
        let client = client();
        let signer = Signer::default();
        while let Some(answer) = deliver(&client, url, &signer, &self.next).await {
            let status = &answer["status"];
            assert!(status == "received" || status == "duplicate", "{answer}");
            world.acknowledge(&self.next);
            self.next = self.following();
        }
    }

    fn following(&mut self) -> Message {
        if self.next.stage + 1 < LIFE.len() {
            return Message::of_job(self.name, self.jobs, self.next.stage + 1);
        }
        self.jobs += 1;
        Message::of_job(self.name, self.jobs, 0)
    }
}

impl Message {
    fn of_job(sender: usize, number: usize, stage: usize) -> Self {
        let job = format!("job-{sender}-{number}");
        Self { id: format!("msg-{job}-{stage}"), job, stage }
    }
}

fn client() -> Client {
    Client::builder().timeout(SOON).finish()
}

/// What the daemon answered; None where it is gone. Any other answer than 200 fails the test.
async fn deliver(client: &Client, url: &str, signer: &Signer, message: &Message) -> Option<Value> {
    let body = message.body();
    let mut request = client.post(format!("{url}{ROUTE}"));
    for header in signer.headers(&message.id, &body) {
        request = request.insert_header(header);
    }
    let mut answer = request.send_body(body).await.ok()?;
    // The status alone is the acknowledgement: a provider reads no further.
    assert_eq!(answer.status(), 200);
    Some(answer.json().await.unwrap_or_else(|_| json!({"status": "received"})))
}

/// Reads the stream from where this reader left off until the daemon is gone.
async fn read(mut stream: EventStream, last_id: &mut Option<String>, world: &World) {
    while let Some(event) = stream.try_next().await {
        let kind = event.json()["type"].take();
        assert_ne!(kind, "reset", "after {last_id:?}");
        // The greeting has an id as well: where the reader stands.
        let Some(id) = event.id.filter(|_| kind != "connected") else { continue };
        let seq: i64 = id.parse().expect("a position");
        if let Some(last) = last_id {
            let last: i64 = last.parse().expect("a position");
            assert_eq!(seq, last + 1, "a hole or a repetition");
        }
        world.see(seq, event.data);
        *last_id = Some(id);
    }
}

/// A daemon on the database, which is the same each time.
fn start(home: &Home, database: &TestDatabase) -> (Process, String) {
    let mut command = home.command(&["serve", "--bind", "127.0.0.1:0"]);
    command.env("JOBSYNCD__DATABASE__URL", &database.url);
    command.env("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET);
    command.env("JOBSYNCD__SERVER__WORKERS", "2");
    let mut process = Process::start(command);
    let url = process.url();
    (process, url)
}

/// Runs the daemon under load until it is killed.
async fn live_and_die(
    daemon: (Process, String),
    senders: &mut [Sender],
    readers: &mut [Option<String>],
    world: &Rc<World>,
    random: &mut StdRng,
) {
    let (mut process, url) = daemon;
    world.kill_at.set(world.answers.get() + random.random_range(1..400));
    let kill = async {
        world.is_time.notified().await;
        process.child.kill().expect("it runs");
        process.child.wait().expect("it ends");
    };
    let sending = join_all(senders.iter_mut().map(|sender| sender.send(&url, world)));
    // Before the first message: from then on the daemon may be gone at any moment.
    let streams =
        join_all(readers.iter().map(|last_id| EventStream::open(&url, last_id.as_deref()))).await;
    let reading = join_all(
        streams.into_iter().zip(readers).map(|(stream, last_id)| read(stream, last_id, world)),
    );
    tokio::join!(kill, sending, reading);
}

/// What must hold of a daemon that has just come back.
async fn check_acknowledged(url: &str, world: &World) {
    let client = client();
    let signer = Signer::default();
    for message in world.lately.take() {
        let again = deliver(&client, url, &signer, &message).await.expect("it runs");
        assert_eq!(again["status"], "duplicate", "{message:?} was acknowledged and lost");
        let known = status_of(&client, url, &message.job).await;
        let known = STATUSES.iter().position(|status| *status == known);
        assert!(known >= Some(message.stage), "{message:?} is {known:?}");
    }
}

async fn status_of(client: &Client, url: &str, job: &str) -> String {
    let path = format!("{url}/api/cloud/jobs/{job}");
    let mut answer = client.get(path).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    body["job"]["status"].as_str().unwrap_or_else(|| panic!("{job}: {body}")).to_owned()
}

/// The whole log as a newcomer reads it: every event that was ever seen is in it as it was, and every
/// job went through each of its states once.
async fn check_history(url: &str, world: &World) {
    let client = client();
    let health = client.get(format!("{url}/health/ready")).send().await.expect("an answer");
    assert_eq!(health.status(), 200);
    let newest = *world.seen.borrow().keys().next_back().expect("somebody saw something");
    let mut stream = EventStream::open(url, Some("0")).await;
    let mut states: HashMap<String, Vec<String>> = HashMap::new();
    let mut expected = 1;
    let mut head = None;
    while head.is_none_or(|head| expected <= head) {
        let event = stream.next().await;
        let told = event.json();
        if told["type"] == "connected" {
            head = told["seq"].as_i64();
            continue;
        }
        let Some(id) = event.id else { continue };
        assert_eq!(id, expected.to_string());
        world.see(expected, event.data);
        expected += 1;
        if let Some(status) = told["status"].as_str() {
            let job = told["job_id"].as_str().expect("a job").to_owned();
            states.entry(job).or_default().push(status.to_owned());
        }
    }
    assert!(newest < expected, "event {newest} was told and is lost");
    for (job, stage) in world.acknowledged.borrow().iter() {
        let told = states.get(job).unwrap_or_else(|| panic!("{job} was never told"));
        assert!(told.len() > *stage, "{job}: {told:?}");
        assert_eq!(told[..], STATUSES[..told.len()], "{job}");
    }
}

fn check_integrity(database: &TestDatabase) {
    #[derive(QueryableByName)]
    struct Verdict {
        #[diesel(sql_type = Text)]
        integrity_check: String,
    }
    let Some(path) = database.url.strip_prefix("sqlite://") else { return };
    let mut connection = SqliteConnection::establish(path).expect("the database");
    connection.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
    let verdict: Vec<Verdict> =
        diesel::sql_query("PRAGMA integrity_check").load(&mut connection).expect("a verdict");
    let verdict: Vec<_> = verdict.into_iter().map(|row| row.integrity_check).collect();
    assert_eq!(verdict, ["ok"]);
}

fn verify(home: &Home, database: &TestDatabase) {
    let mut command = home.command(&["verify"]);
    let output = command.env("JOBSYNCD__DATABASE__URL", &database.url).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

async fn survive(backend: Backend, kills: u64) {
    let seed = number("SEED").unwrap_or_else(rand::random);
    println!("SEED={seed} KILLS={kills} on {backend:?}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = Home::new();
    let database = TestDatabase::new(backend);
    let world = Rc::new(World::default());
    let mut senders: Vec<_> = (0..SENDERS).map(Sender::new).collect();
    let mut readers = vec![Some("0".to_owned()); SUBSCRIBERS];
    for kill in 1..=kills {
        let daemon = start(&home, &database);
        check_acknowledged(&daemon.1, &world).await;
        live_and_die(daemon, &mut senders, &mut readers, &world, &mut random).await;
        check_integrity(&database);
        if kill % 20 == 0 {
            println!("{kill} kills, {} webhooks answered", world.answers.get());
        }
    }
    let (process, url) = start(&home, &database);
    check_acknowledged(&url, &world).await;
    check_history(&url, &world).await;
    verify(&home, &database);
    process.stop();
    println!(
        "{kills} kills: {} webhooks answered, {} events, none lost and none told twice",
        world.answers.get(),
        world.seen.borrow().len()
    );
}

/// Even before there are tables.
#[test]
fn a_daemon_that_is_killed_in_its_first_start_starts_the_next_time() {
    let home = Home::new();
    for attempt in 0..10 {
        let file = home.path(&format!("{attempt}.db"));
        let url = format!("sqlite://{}", file.display());
        let mut process = Process::start(home.serve_with(&url));
        // From here on it makes its tables.
        while !file.exists() {
            assert!(process.child.try_wait().expect("a child").is_none(), "it runs");
            std::thread::yield_now();
        }
        (0..attempt * 1_000).for_each(|_| std::thread::yield_now());
        process.child.kill().expect("it runs");
        process.child.wait().expect("it ends");
        let mut next = Process::start(home.serve_with(&url));
        next.url();
        next.stop();
    }
}

#[actix_web::test]
async fn a_killed_daemon_has_lost_nothing_that_it_answered_and_tells_nothing_twice() {
    survive(Backend::Sqlite, number("KILLS").unwrap_or(24)).await;
}

#[actix_web::test]
async fn the_same_on_postgresql() {
    survive(Backend::Postgres, number("KILLS").unwrap_or(6)).await;
}
