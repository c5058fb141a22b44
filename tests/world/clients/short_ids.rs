//! Clients show people the first 8 or 12 characters of an identifier, and people give those back.

use std::collections::HashSet;

use actix_web::http::Method;
use jobsyncd::simulator::Simulator;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Answer, Backend, TestDaemon, TestDatabase, simulator};

/// A daemon that hands nothing over, and jobs of it with identifiers that are known.
async fn daemon(simulator: &Simulator, database: &TestDatabase, ids: &[&str]) -> TestDaemon {
    let daemon = TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__ENABLED", "false")
        .start(database)
        .await;
    for id in ids {
        let submitted = daemon.submit(&json!({})).await;
        let column = format!("SET job_id = '{id}' WHERE job_id = '{submitted}'");
        database.execute(&format!(
            "INSERT INTO jobs (job_id, job_type, provider, status, created_at, first_seen_at, provenance, liveness)
             SELECT '{id}', job_type, provider, status, created_at, first_seen_at, provenance, liveness
             FROM jobs WHERE job_id = '{submitted}';
             UPDATE queue_entries {column};
             UPDATE events {column};
             DELETE FROM jobs WHERE job_id = '{submitted}'"
        ));
    }
    daemon
}

#[rstest]
#[actix_web::test]
async fn every_route_takes_the_beginning_of_an_identifier(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let id = "0123abcd-4567-4000-8000-000000000001";
    let daemon = daemon(&simulator, &database, &[id, "9999abcd-4567-4000-8000-000000000002"]).await;
    for prefix in ["0123ab", "0123abcd", "0123abcd-456", id] {
        assert_eq!(daemon.job(prefix).await["job_id"], id);
    }
    let job = "/api/cloud/jobs/0123abcd";
    for route in ["timeline", "inline-progress", "logs", "series"] {
        let answer = daemon.get(&format!("{job}/{route}")).await.ok();
        assert_eq!(answer["job_id"], id, "{route}");
    }
    for route in [format!("{job}/logs/download"), "/updates/jobs/0123abcd".to_owned()] {
        assert_eq!(daemon.get(&route).await.status, 200, "{route}");
    }
    let page = daemon.get("/jobs/0123abcd").await;
    assert!(String::from_utf8_lossy(&page.body).contains(id));
    assert_eq!(daemon.get("/api/queue/position/0123abcd").await.ok()["job_id"], id);
    let urgent = json!({"priority": "urgent"});
    let moved = daemon.post_json("/api/queue/0123abcd/priority", &urgent).await.ok();
    assert_eq!(moved["job_id"], id);
    let cancelled = daemon.post(&format!("{job}/cancel")).await.ok();
    assert_eq!((&cancelled["job_id"], &cancelled["status"]), (&json!(id), &json!("cancelled")));
    assert_eq!(daemon.delete(job).await.ok()["job_id"], id);
    daemon.get(job).await.error(404, "job_not_found");
    daemon.stop().await;
}

fn candidates(answer: Answer) -> (String, Value) {
    let error = answer.error(409, "ambiguous_id");
    let words = error["detail"].as_str().expect("words").to_owned();
    (words, error["details"]["candidates"].clone())
}

#[rstest]
#[actix_web::test]
async fn a_beginning_of_several_is_answered_by_all_of_them_and_changes_none(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let ids = ["aaaaaa11-x", "aaaaaa22-x", "aaaaab33-x"];
    let daemon = daemon(&simulator, &database, &ids).await;
    for (method, path) in [
        (Method::GET, "/api/cloud/jobs/aaaaaa"),
        (Method::GET, "/api/cloud/jobs/aaaaaa/logs"),
        (Method::POST, "/api/cloud/jobs/aaaaaa/cancel"),
        (Method::DELETE, "/api/cloud/jobs/aaaaaa"),
        (Method::POST, "/api/queue/aaaaaa/cancel"),
    ] {
        let (words, named) = candidates(daemon.request(method, path, &[], None).await);
        assert_eq!(named, json!(["aaaaaa11-x", "aaaaaa22-x"]), "{path}");
        assert!(words.contains("aaaaaa11-x") && words.contains("aaaaaa22-x"), "{words}");
    }
    assert_eq!(daemon.get("/jobs/aaaaaa").await.status, 409);
    for id in ids {
        assert_eq!(daemon.job(id).await["status"], "pending");
    }
    // Less than six characters are no identifier, unless they are a whole one; and a % or _ means itself.
    for other in ["aaaaa", "aaaaa%25", "aaaaa_", "aaaaaa11-x1", "AAAAAA11"] {
        daemon.get(&format!("/api/cloud/jobs/{other}")).await.error(404, "job_not_found");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn an_identifier_that_begins_another_means_itself() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database, &["abcdefgh", "abcdefghij"]).await;
    assert_eq!(daemon.job("abcdefgh").await["job_id"], "abcdefgh");
    assert_eq!(daemon.job("abcdefghi").await["job_id"], "abcdefghij");
    candidates(daemon.get("/api/cloud/jobs/abcdef").await);
    daemon.stop().await;
}

#[actix_web::test]
async fn identifiers_of_one_moment_differ_in_their_first_eight_characters() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database, &[]).await;
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let id = daemon.submit(&json!({})).await;
        assert!(seen.insert(id[..8].to_owned()), "{id}");
    }
    daemon.stop().await;
}
