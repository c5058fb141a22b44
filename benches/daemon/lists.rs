//! The list of jobs against a static answer of the same size from the same kind of server.
//!
//! A ratio says what the daemon itself costs: the machine, the sockets and the HTTP server are the
//! same on both sides. The static server has none of the daemon's middleware. Each has a single
//! worker: with more of them the one client would be what limits both, and the ratio would be 1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::header::ContentType;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

use crate::Effort;
use crate::client::{Connection, answers_a_second, ask_once, get, on_own_thread};
use crate::figures::{Figure, Goal, in_ms, in_thousands, median};
use crate::stand::{Database, Stand};
use crate::webhook::{self, SECRET_SETTING, Tells};

const CONNECTIONS: usize = 32;
const LIST: &str = "/api/cloud/jobs?limit=50";
/// How a daemon is told to have one worker.
const ONE_WORKER: (&str, &str) = ("JOBSYNCD__SERVER__WORKERS", "1");
/// How often a job changes where the list is read while jobs change.
const CHANGES_A_SECOND: u32 = 10;

/// Measures the list with few and with many jobs, and while jobs change.
pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let mut figures = vec![at_rest(1_000, effort)];
    let database = Database::with_jobs(100_000);
    let stand = Stand::start(&database, &[SECRET_SETTING, ONE_WORKER]);
    figures.push(against_static(
        &stand,
        "list of 50 of 100,000 jobs, share of a static answer's rate".to_owned(),
        Goal::AtLeast(0.4),
        effort,
    ));
    figures.push(search_without_a_match(&stand, effort));
    let changes = Changes::begin(stand.address);
    figures.push(against_static(
        &stand,
        format!("the same while {CHANGES_A_SECOND} changes a second happen"),
        Goal::Told,
        effort,
    ));
    changes.end();
    stand.stop();
    figures
}

/// How long an answer takes to a search that nothing matches. Each is for another text, so that none is remembered.
fn search_without_a_match(stand: &Stand, effort: Effort) -> Figure {
    let times: Vec<_> = (0..effort.choose(50, 10))
        .map(|round| {
            let path = format!("/api/cloud/jobs?q=nothing-{round}-of-this-name");
            let begun = Instant::now();
            ask_once(stand.address, get(&path));
            in_ms(begun.elapsed())
        })
        .collect();
    Figure {
        what: "search of 100,000 jobs that nothing matches".to_owned(),
        median: median(&times),
        unit: "ms",
        goal: Goal::AtMost(20.0),
        details: String::new(),
    }
}

fn at_rest(jobs: i64, effort: Effort) -> Figure {
    let database = Database::with_jobs(jobs);
    let stand = Stand::start(&database, &[ONE_WORKER]);
    let what = "list of 50 of 1,000 jobs, share of a static answer's rate".to_owned();
    let figure = against_static(&stand, what, Goal::AtLeast(0.4), effort);
    stand.stop();
    figure
}

/// Reads the list and the static answer by turns, so that both meet the same disturbances.
fn against_static(stand: &Stand, what: String, goal: Goal, effort: Effort) -> Figure {
    let list = ask_once(stand.address, get(LIST));
    let bytes = list.len();
    let fixed = StaticServer::start(list.into());
    let lasting = Duration::from_millis(effort.choose(1_000, 300));
    let rates = (0..effort.rounds()).map(|_| {
        let of_static = answers_a_second(fixed.address, CONNECTIONS, get("/"), lasting);
        let of_list = answers_a_second(stand.address, CONNECTIONS, get(LIST), lasting);
        (of_static, of_list)
    });
    let (of_static, of_list): (Vec<_>, Vec<_>) = rates.unzip();
    fixed.stop();
    let ratios: Vec<_> = of_list.iter().zip(&of_static).map(|(list, fixed)| list / fixed).collect();
    Figure {
        what,
        median: median(&ratios),
        unit: "",
        goal,
        details: format!(
            "{} against {}, {bytes} bytes, {CONNECTIONS} connections",
            in_thousands(median(&of_list)),
            in_thousands(median(&of_static)),
        ),
    }
}

/// A server of one answer.
struct StaticServer {
    address: SocketAddr,
    handle: ServerHandle,
}

impl StaticServer {
    fn start(answer: Bytes) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let answer = answer.clone();
                    App::new().route(
                        "/",
                        web::get().to(move || {
                            let body = answer.clone();
                            async move {
                                HttpResponse::Ok().content_type(ContentType::json()).body(body)
                            }
                        }),
                    )
                });
                let server = server
                    .workers(1)
                    .disable_signals()
                    .bind(("127.0.0.1", 0))
                    .expect("a free port");
                let address = server.addrs()[0];
                let server = server.run();
                tell.send((address, server.handle())).expect("the address is waited for");
                server.await.expect("the static server runs");
            });
        });
        let (address, handle) = told.recv().expect("the static server starts");
        Self { address, handle }
    }

    fn stop(self) {
        // The order to stop goes out at once; there is nothing to wait for.
        drop(self.handle.stop(false));
    }
}

/// Webhooks at a steady pace, each of which changes a job.
struct Changes {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Changes {
    fn begin(address: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            on_own_thread(move || async move {
                let mut connection = Connection::open(address).await?;
                let key = webhook::key();
                let began = Instant::now();
                for count in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = format!("change{count:020}");
                    let request = webhook::request(&key, &id, Tells::Start);
                    assert_eq!(connection.ask(&request).await?.status, 200);
                    let due = began + Duration::from_secs(1) * (count + 1) / CHANGES_A_SECOND;
                    tokio::time::sleep_until(due.into()).await;
                }
                Ok(())
            });
        });
        Self { is_over, thread }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the changes go on until they are ended");
    }
}
