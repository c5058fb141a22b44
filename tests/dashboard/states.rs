//! Empty and broken: what a reader is told, and what to do about it.

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, PgConnection};
use jobsyncd::simulator::{ErrorBody, Fault, FaultKind, Status};

use crate::browser::{Browser, Reader};
use crate::stage::{Stage, quiet};
use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::webhook::Signer;

#[actix_web::test]
async fn without_a_token_one_line_says_what_to_do() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&daemon.url).await;
    browser.is_live().await;
    browser.shows(".notice", "No API token for Replicate. Set REPLICATE_API_TOKEN").await;
    browser.shows("#jobs .empty", "No account yet").await;
    browser.close().await;
    daemon.stop().await;
}

#[actix_web::test]
async fn an_account_without_jobs_says_how_they_are_found() {
    let stage = Stage::set().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    assert_eq!(browser.count(".notice").await, 0);
    browser.shows("#jobs .empty", "No jobs yet").await;
    for (path, words) in [("/queue", "Nothing waits"), ("/activity", "Nothing here")] {
        browser.go(&stage.url(path)).await;
        browser.shows(".empty", words).await;
    }
    // Where there is no row none can move: the first job is shown at once.
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let (id, _) = stage.submitted("first").await;
    browser.shows(&format!("[id='job-{id}']"), "first").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_token_that_is_refused_is_said_with_the_providers_words() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quiet(&simulator).with("REPLICATE_API_TOKEN", "r8_wrong").start(&database).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&daemon.url).await;
    browser.is_live().await;
    browser.click(".sync").await;
    browser.shows("#alerts", "You did not pass a valid authentication token").await;
    browser.reload().await;
    browser.shows(".notice.error", "Replicate refuses the API token.").await;
    browser.abandon().await;
    daemon.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn a_provider_that_is_down_is_said_until_it_is_back() {
    let stage = Stage::set().await;
    let (id, _) = stage.running("cats", 100).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let down = FaultKind::ServerError { status: 503, body: ErrorBody::Html };
    stage.simulator.fail_next(Fault::new("*", down).times(1_000));
    while stage.daemon.get("/health").await.ok()["components"][6]["status"] == "healthy" {
        stage.daemon.post("/api/cloud/jobs/sync").await;
    }
    browser.shows(".notice.warning", "Replicate does not answer.").await;
    browser.shows(".notice.warning", "What you see is what was known before").await;
    browser.shows(&format!("[id='job-{id}']"), "cats").await;
    browser.abandon().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_database_that_cannot_be_written_is_said_above_what_is_known() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Postgres);
    let daemon = quiet(&simulator).start(&database).await;
    let id = simulator.create_job(jobsyncd::simulator::JobSpec::manual()).expect("a job");
    daemon.sync().await;
    let name =
        database.url.split("///").nth(1).and_then(|rest| rest.split('?').next()).expect("a name");
    let mut other = PgConnection::establish(&database.url).expect("a connection");
    other
        .batch_execute(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = on;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        ))
        .expect("it is read-only now");
    simulator.set_status(&id, Status::Processing).expect("it starts");
    let signer = Signer::default();
    let browser = Browser::open(Reader::default()).await;
    let told = simulator.job(&id).expect("a job");
    let mut refused = String::new();
    // The first one finds the connection closed, the next that nothing can be written.
    for _ in 0..20 {
        let answer = signer.deliver(&daemon, "msg", &told).await;
        refused = answer.error(503, "store_unavailable")["detail"].to_string();
    }
    assert!(refused.contains("read-only"), "{refused}");
    browser.go(&daemon.url).await;
    browser.is_live().await;
    browser
        .shows(
            ".notice.error",
            "Nothing can be stored. The database cannot be written: it is read-only",
        )
        .await;
    browser.shows("tr.job", &id).await;
    browser.click(".sync").await;
    browser.shows("#alerts", "the database cannot be used now: it is read-only").await;
    browser.abandon().await;
    daemon.stop().await;
    simulator.stop().await;
}
