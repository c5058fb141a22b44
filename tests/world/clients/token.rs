//! `simpletuner cloud config set-token` and `delete-token`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const TOKEN: &str = "/api/cloud/providers/replicate/token";
const VALIDATE: &str = "/api/cloud/providers/replicate/validate";

#[actix_web::test]
async fn a_token_that_is_set_holds_at_once_and_after_a_restart_and_is_never_shown() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let start = || {
        TestDaemon::builder()
            .with("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", simulator.base_url())
            .start(&database)
    };
    let daemon = start().await;
    assert_eq!(daemon.get(VALIDATE).await.ok()["valid"], false);
    let wrong = daemon.put_json(TOKEN, &json!({"api_token": "r8_wrong"})).await.ok();
    assert_eq!(wrong["success"], true);
    assert_eq!(daemon.get(VALIDATE).await.ok()["valid"], false);

    let token = simulator.token();
    let set = daemon.put_json(TOKEN, &json!({"api_token": token})).await.ok();
    assert_eq!((&set["success"], &set["error"]), (&json!(true), &json!(null)));
    let file = set["file_path"].as_str().expect("a path").to_owned();
    let rights = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
    assert_eq!((rights, fs::read_to_string(&file).expect("a token")), (0o600, token.to_owned()));
    // Nothing is left beside it.
    let kept = fs::read_dir(database.folder.path()).expect("a folder");
    let names: Vec<_> = kept.map(|entry| entry.expect("an entry").file_name()).collect();
    let tokens = names.iter().filter(|name| name.to_string_lossy().contains("token")).count();
    assert_eq!(tokens, 1, "{names:?}");

    assert_eq!(daemon.get(VALIDATE).await.ok()["valid"], true);
    daemon.sync().await;
    for path in
        ["/api/cloud/providers", "/api/cloud/providers/replicate/config", "/health", VALIDATE]
    {
        let answer = daemon.get(path).await.ok();
        assert!(!answer.to_string().contains(token), "{path}");
    }
    let provider = daemon.get("/api/cloud/providers").await.ok()["providers"][0].take();
    assert_eq!(provider["configured"], true);
    daemon.stop().await;

    let daemon = start().await;
    assert_eq!(daemon.get(VALIDATE).await.ok()["valid"], true);
    assert_eq!(daemon.delete(TOKEN).await.ok()["success"], true);
    assert!(!fs::exists(&file).expect("a folder"));
    assert_eq!(daemon.get(VALIDATE).await.ok()["valid"], false);
    assert_eq!(daemon.delete(TOKEN).await.ok()["success"], true, "it is gone already");
    daemon.stop().await;
}

#[actix_web::test]
async fn the_configured_token_holds_again_when_the_other_is_deleted() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.put_json(TOKEN, &json!({"api_token": "r8_wrong"})).await.ok();
    assert_eq!(daemon.get(VALIDATE).await.ok()["valid"], false);
    daemon.delete(TOKEN).await.ok();
    assert_eq!(daemon.get(VALIDATE).await.ok()["valid"], true);
    daemon.stop().await;
}

#[actix_web::test]
async fn what_is_no_token_is_refused_without_being_repeated() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let long = "r8_x".repeat(200);
    for token in [
        json!(""),
        json!("r8_two words"),
        json!("r8_line\nbreak"),
        json!(5),
        json!(null),
        json!(long),
    ] {
        let error = daemon.put_json(TOKEN, &json!({"api_token": token})).await;
        let error = error.error(422, "invalid_value");
        assert_eq!(error["details"]["field"], "api_token");
        assert!(!error.to_string().contains("r8_"), "{error}");
    }
    daemon.put_json(TOKEN, &json!({})).await.error(422, "invalid_value");
    let other = "/api/cloud/providers/simpletuner_io/token";
    daemon.put_json(other, &json!({"api_token": "x"})).await.error(404, "unknown_provider");
    daemon.stop().await;
}

#[actix_web::test]
async fn without_a_place_for_it_no_token_is_taken() {
    let database = TestDatabase::new(Backend::Postgres);
    let daemon = TestDaemon::builder().start(&database).await;
    let refused: Value =
        daemon.put_json(TOKEN, &json!({"api_token": "r8_x"})).await.error(409, "no_token_file");
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("token_file")));
    daemon.stop().await;
    let file = database.folder.path().join("own");
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__TOKEN_FILE", file.to_str().expect("a path"))
        .start(&database)
        .await;
    daemon.put_json(TOKEN, &json!({"api_token": "r8_x"})).await.ok();
    assert_eq!(fs::read_to_string(&file).expect("a file"), "r8_x");
    daemon.stop().await;
}
