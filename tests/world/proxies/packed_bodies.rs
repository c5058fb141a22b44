//! Bodies of requests that come packed.

use std::io::Write;

use actix_web::http::Method;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::support::daemon::{Answer, Backend, TestDaemon, TestDatabase};
use crate::support::webhook::{ROUTE, SECRET, Signer, deliver};

const SETTING: &str = "/api/cloud/polling/setting";

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_ref()).expect("memory");
    encoder.finish().expect("memory")
}

async fn put(daemon: &TestDaemon, coding: &str, body: Vec<u8>) -> Answer {
    let headers = [("content-type", "application/json"), ("content-encoding", coding)];
    daemon.request(Method::PUT, SETTING, &headers, Some(body)).await
}

#[actix_web::test]
async fn a_body_that_is_packed_by_gzip_is_read() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    for (coding, enabled) in
        [("gzip", true), ("GZIP", false), ("x-gzip", true), ("identity, gzip", false)]
    {
        put(&daemon, coding, gzip(json!({"enabled": enabled}).to_string())).await.ok();
        assert_eq!(daemon.polling().await["is_active"], enabled, "{coding}");
    }
    put(&daemon, "identity", b"{\"enabled\": true}".to_vec()).await.ok();
    // Two members, as of a sender that packs piece by piece.
    put(&daemon, "gzip", [gzip("{\"enabled\":"), gzip(" false}")].concat()).await.ok();
    assert_eq!(daemon.polling().await["is_active"], false);
    // No body at all needs no packing.
    let headers = [("content-encoding", "gzip")];
    let sync =
        daemon.request(Method::POST, "/api/cloud/jobs/sync", &headers, Some(Vec::new())).await;
    sync.error(502, "provider_not_configured");
    daemon.stop().await;
}

#[actix_web::test]
async fn any_other_coding_is_refused_by_its_name_and_with_what_is_taken() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    for coding in ["br", "deflate", "zstd", "compress", "gzip, gzip", "aes128gcm"] {
        for (method, path) in [
            (Method::PUT, SETTING),
            (Method::POST, "/api/cloud/jobs/sync"),
            (Method::POST, "/api/cloud/jobs/submit"),
            (Method::POST, "/login"),
            (Method::POST, ROUTE),
        ] {
            let headers = [("content-type", "application/json"), ("content-encoding", coding)];
            let answer = daemon.request(method, path, &headers, Some(b"{}".to_vec())).await;
            assert_eq!(answer.header("accept-encoding"), Some("gzip"), "{path}");
            let error = answer.error(415, "unsupported_content_encoding");
            assert_eq!(error["details"]["content_encoding"], coding);
            assert_eq!(error["details"]["allowed"], json!(["gzip", "identity"]));
            let detail = error["detail"].as_str().expect("a text");
            assert!(detail.contains(coding) && detail.contains("gzip"), "{detail}");
        }
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn what_is_said_to_be_gzip_and_is_not_is_told_so() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let whole = gzip("{\"enabled\": true}");
    for body in [
        b"{\"enabled\": true}".to_vec(),
        whole[..whole.len() - 3].to_vec(),
        [&whole[..], b"?"].concat(),
    ] {
        put(&daemon, "gzip", body).await.error(400, "body_not_gzip");
    }
    put(&daemon, "gzip", gzip("{")).await.error(415, "not_json");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_body_that_is_too_large_only_once_it_is_unpacked_is_refused() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .with("JOBSYNCD__SERVER__MAX_BODY_MB", "2")
        .start(&database)
        .await;
    let (mega, body) = (1024 * 1024, |size: usize| gzip(" ".repeat(size) + "{\"enabled\": true}"));
    put(&daemon, "gzip", body(mega - 17)).await.ok();
    let packed = body(mega - 16);
    assert!(packed.len() < 10_000);
    let error = put(&daemon, "gzip", packed).await.error(413, "body_too_large");
    assert_eq!(error["details"]["limit_bytes"], mega);

    let packed = gzip(vec![b' '; 2 * mega + 1]);
    let mut headers = Signer::default().headers("msg_1", &packed);
    headers.push(("content-encoding", "gzip".to_owned()));
    let error =
        deliver(&daemon, ROUTE, &headers, packed.clone()).await.error(413, "body_too_large");
    assert_eq!(error["details"]["limit_bytes"], 2 * mega);
    // What nobody signed is not unpacked.
    let headers = [("content-encoding", "gzip".to_owned())];
    deliver(&daemon, ROUTE, &headers, packed).await.error(401, "bad_signature");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_packed_webhook_is_signed_over_the_bytes_that_are_sent() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(&database)
        .await;
    let id = "gm3qorzdhgbfurvjtvhg6dckhu";
    let log = "step 1/1000\n".repeat(40_000);
    let body = json!({
        "id": id, "status": "processing", "model": "simpletuner/advanced-trainer-l40s", "logs": log,
        "created_at": "2026-11-28T06:00:00.000Z", "started_at": "2026-11-28T06:00:01.000Z",
    });
    let packed = gzip(body.to_string());
    let mut headers = Signer::default().headers("msg_1", &packed);
    headers.push(("content-encoding", "gzip".to_owned()));
    let receipt = deliver(&daemon, ROUTE, &headers, packed.clone()).await.ok();
    assert_eq!(receipt["status"], "received");
    assert_eq!(daemon.job(id).await["status"], "running");
    assert_eq!(deliver(&daemon, ROUTE, &headers, packed.clone()).await.ok()["status"], "duplicate");

    // A signature is over one sequence of bytes, and not over what they unpack to.
    let mut headers = Signer::default().headers("msg_2", body.to_string().as_bytes());
    headers.push(("content-encoding", "gzip".to_owned()));
    deliver(&daemon, ROUTE, &headers, packed).await.error(401, "bad_signature");
    daemon.stop().await;
}
