//! `simpletuner jobs retry` and `simpletuner cloud submit NAME`: another job of what is kept.

use std::fs;
use std::os::unix::fs::symlink;

use jobsyncd::simulator::{JobSpec, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const SUBMIT: &str = "/api/cloud/jobs/submit?provider=replicate";
/// A token that must be nowhere but at the provider.
const SECRET: &str = "hf_neverToBeSeen0123456789";

fn id_of(answer: &Value) -> String {
    assert_eq!(answer["success"], true, "{answer}");
    answer["job_id"].as_str().expect("an identifier").to_owned()
}

/// What the provider was given for a job, once it has it.
async fn input(daemon: &TestDaemon, simulator: &Simulator, id: &str) -> Value {
    let prediction = daemon.taken(id).await;
    simulator.job(&prediction).expect("a job")["input"].clone()
}

async fn fail(daemon: &TestDaemon, simulator: &Simulator, id: &str) {
    let prediction = daemon.taken(id).await;
    simulator.set_status(&prediction, Status::Failed).expect("it ends");
    daemon.refresh().await;
}

#[rstest]
#[actix_web::test]
async fn a_job_that_has_ended_is_made_again_of_what_it_was_made_of(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let order = json!({
        "input": {"_simulator": "manual", "steps": 7}, "config_name": "cats", "user_id": "ann",
        "priority": "high", "tracker_run_name": "friday",
    });
    let first = daemon.submit(&order).await;
    let retry = format!("/api/cloud/jobs/{first}/retry");
    daemon.taken(&first).await;
    daemon.post(&retry).await.error(409, "job_active");
    fail(&daemon, &simulator, &first).await;

    let second = id_of(&daemon.post(&retry).await.ok());
    assert_ne!(second, first);
    assert_eq!(
        input(&daemon, &simulator, &second).await,
        json!({"_simulator": "manual", "steps": 7})
    );
    let (first, second) = (daemon.job(&first).await, daemon.job(&second).await);
    for field in ["config_name", "user_id", "provider", "hardware_type"] {
        assert_eq!(second[field], first[field], "{field}");
    }
    assert_eq!(second["metadata"]["run_name"], "friday");
    assert_eq!(first["status"], "failed");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_retry_that_is_sent_twice_with_a_key_makes_one_job() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let first = daemon.submit(&json!({})).await;
    fail(&daemon, &simulator, &first).await;
    // The short form that people see.
    let retry = format!("/api/cloud/jobs/{}/retry", &first[..8]);
    let key = json!({"idempotency_key": "once"});
    let again = id_of(&daemon.post_json(&retry, &key).await.ok());
    assert_eq!(id_of(&daemon.post_json(&retry, &key).await.ok()), again);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn secrets_are_asked_for_again_by_their_names(
    #[values("retry", "config_name_to_load")] way: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let order = json!({
        "hardware_profile": "h100", "config_name": "cats",
        "config": {"--max_train_steps": 5, "hf_token": SECRET},
    });
    let first = id_of(&daemon.post_json(SUBMIT, &order).await.ok());
    daemon.taken(&first).await;
    daemon.post(&format!("/api/cloud/jobs/{first}/cancel")).await;
    daemon.job_when(&first, |job| job["is_terminal"] == true).await;
    let path = match way {
        "retry" => format!("/api/cloud/jobs/{first}/retry"),
        _ => SUBMIT.to_owned(),
    };
    let ask = |secrets: Value| json!({"config_name_to_load": "cats", "secrets": secrets});
    for given in [json!({}), json!({"config.hf_token": ""}), json!({"other": SECRET})] {
        let error = daemon.post_json(&path, &ask(given)).await.error(422, "secrets_missing");
        assert_eq!(error["details"]["missing"], json!(["config.hf_token"]));
        assert!(error["detail"].as_str().is_some_and(|text| text.contains("config.hf_token")));
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
    let given = ask(json!({"config.hf_token": SECRET}));
    let second = id_of(&daemon.post_json(&path, &given).await.ok());
    let config = input(&daemon, &simulator, &second).await["config_json"].to_string();
    assert!(config.contains(SECRET), "the provider gets it");
    assert!(!daemon.job(&second).await.to_string().contains(SECRET));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_of_others_is_not_made_again_and_the_reason_is_said() {
    let simulator = simulator().await;
    let imported = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&imported, Status::Failed).expect("it ends");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.sync().await;
    let error = daemon.post(&format!("/api/cloud/jobs/{imported}/retry")).await;
    let error = error.error(409, "no_order");
    assert!(error["detail"].as_str().is_some_and(|text| text.contains("not submitted through")));
    daemon.post("/api/cloud/jobs/nosuchjob/retry").await.error(404, "job_not_found");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_name_stands_for_the_newest_submission_that_had_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    for steps in [1, 2] {
        let input = json!({"_simulator": "manual", "steps": steps});
        daemon.submit(&json!({"config_name": "cats", "input": input})).await;
    }
    let other = json!({"config_name": "dogs", "input": {"_simulator": "manual", "steps": 3}});
    daemon.submit(&other).await;
    let request = json!({"config_name_to_load": "cats", "hardware_profile": "h100-x2"});
    let again = id_of(&daemon.post_json(SUBMIT, &request).await.ok());
    assert_eq!(input(&daemon, &simulator, &again).await["steps"], 2);
    let job = daemon.job(&again).await;
    assert_eq!((&job["config_name"], &job["hardware_type"]), (&json!("cats"), &json!("h100-x2")));
    for unknown in ["birds", "../cats", "ca%"] {
        let request = json!({"config_name_to_load": unknown});
        let error = daemon.post_json(SUBMIT, &request).await.error(422, "invalid_value");
        assert_eq!(error["details"]["field"], "config_name_to_load");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_name_stands_for_a_configuration_in_the_folder_and_nothing_outside_of_it() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("configs");
    fs::create_dir_all(folder.join("cats")).expect("a folder");
    let write = |name: &str, json: Value| {
        fs::write(folder.join(name), json.to_string()).expect("a file");
    };
    write(
        "cats/config.json",
        json!({
            "--max_train_steps": 5, "--tracker_run_name": "of-cats",
            "--data_backend_config": "config/cats/multidatabackend.json", "--lycoris_config": "config/cats/lokr.json",
        }),
    );
    write("cats/multidatabackend.json", json!([{"id": "photos", "type": "huggingface"}]));
    write("cats/lokr.json", json!({"algo": "lokr"}));
    write("plain.json", json!({"--max_train_steps": 9}));
    write("broken.json", json!(["no object"]));
    let secret = outer.path().join("secret.json");
    fs::write(&secret, json!({"--max_train_steps": 666}).to_string()).expect("a file");
    symlink(&secret, folder.join("link.json")).expect("a link");

    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__SIMPLETUNER__CONFIG_FOLDER", folder.to_str().expect("a path"))
        .start(&database)
        .await;
    let load = |name: &str| json!({"config_name_to_load": name});
    let id = id_of(&daemon.post_json(SUBMIT, &load("cats")).await.ok());
    let sent = input(&daemon, &simulator, &id).await;
    let read = |field: &str| -> Value {
        serde_json::from_str(sent[field].as_str().expect("a text")).expect("JSON")
    };
    assert_eq!(read("config_json")["--max_train_steps"], 5);
    assert_eq!(read("dataloader_json"), json!([{"id": "photos", "type": "huggingface"}]));
    assert_eq!(read("lycoris_config"), json!({"algo": "lokr"}));
    let job = daemon.job(&id).await;
    assert_eq!(
        (&job["config_name"], &job["metadata"]["run_name"]),
        (&json!("cats"), &json!("of-cats"))
    );
    for name in ["plain", "plain.json"] {
        let id = id_of(&daemon.post_json(SUBMIT, &load(name)).await.ok());
        let sent = input(&daemon, &simulator, &id).await["config_json"].to_string();
        assert!(sent.contains("--max_train_steps"), "{sent}");
    }
    let absolute = secret.with_extension("");
    let absolute = absolute.to_str().expect("a path");
    for name in [
        "../secret",
        "../secret.json",
        absolute,
        "cats/../../secret",
        "link",
        "..",
        ".",
        "broken",
        "birds",
    ] {
        let error = daemon.post_json(SUBMIT, &load(name)).await.error(422, "invalid_value");
        assert_eq!(error["details"]["field"], "config_name_to_load", "{name}");
    }
    daemon.stop().await;
}
