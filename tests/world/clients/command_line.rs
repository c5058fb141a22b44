//! SimpleTuner's own command line, from its package.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jobsyncd::simulator::{End, JobUpdate, Scenario, Simulator, SimulatorOptions, Status};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

/// The command line, as a user has it who has pointed it at the daemon.
struct CommandLine {
    address: String,
    home: TempDir,
}

impl CommandLine {
    fn of(daemon: &TestDaemon) -> Self {
        let address = daemon.url.trim_start_matches("http://").to_owned();
        Self { address, home: tempfile::tempdir().expect("a folder") }
    }

    /// Runs a command; it must end so, and say all of this.
    async fn says(&self, arguments: &[&str], status: i32, words: &[&str]) -> String {
        let mut command = self.command(arguments);
        let output = actix_web::web::block(move || command.output()).await.expect("a thread");
        let Output { status: ended, stdout, stderr } = output.expect("Python runs");
        let said =
            [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(!said.contains("Traceback"), "{arguments:?}: {said}");
        assert_eq!(ended.code(), Some(status), "{arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
        }
        said
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let package: PathBuf = root.join("target/simpletuner");
        assert!(package.exists(), "{} is missing: run scripts/test-deps", package.display());
        let (host, port) = self.address.rsplit_once(':').expect("a port");
        let mut command = Command::new(root.join("target/python/bin/python"));
        command
            .arg(root.join("tests/python/simpletuner_cli.py"))
            .args(arguments)
            .env_clear()
            .env("PYTHONPATH", package)
            .env("HOME", self.home.path())
            .env("SIMPLETUNER_HOST", host)
            .env("SIMPLETUNER_PORT", port)
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }
}

#[actix_web::test]
async fn its_commands_on_jobs_work_unchanged_from_the_submission_to_the_deletion() {
    // It runs at once, and until it is cancelled.
    let default_scenario = Scenario {
        queue_seconds: 0.0,
        setup_seconds: 0.0,
        end: End::RunUntilCancelled,
        ..Scenario::default()
    };
    let options = SimulatorOptions { default_scenario, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).await.expect("the simulator starts");
    let database = TestDatabase::new(Backend::Sqlite);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("cats")).expect("a folder");
    let config = json!({"--model_family": "flux", "--max_train_steps": 5});
    std::fs::write(folder.path().join("cats/config.json"), config.to_string()).expect("a file");
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__SIMPLETUNER__CONFIG_FOLDER", folder.path().to_str().expect("a path"))
        .start(&database)
        .await;
    let simpletuner = CommandLine::of(&daemon);

    simpletuner.says(&["cloud", "jobs", "list"], 0, &[]).await;
    let said = simpletuner
        .says(&["cloud", "jobs", "submit", "cats"], 0, &["submitted successfully"])
        .await;
    let id = said.split("Job ID: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let id = id.expect("an identifier").to_owned();
    let short = &id[..8];
    simpletuner.says(&["cloud", "jobs", "submit", "dogs"], 1, &["dogs"]).await;
    simpletuner.says(&["cloud", "jobs", "list"], 0, &[&id[..12], "cats"]).await;
    simpletuner.says(&["cloud", "jobs", "get", short], 0, &[&id, "cats"]).await;
    simpletuner.says(&["jobs", "get", short], 0, &[&id, "cats"]).await;
    simpletuner.says(&["jobs", "list"], 0, &["cats"]).await;
    simpletuner.says(&["jobs", "status"], 0, &["Max Concurrent", "User Max Concurrent"]).await;

    daemon.taken(&id).await;
    let is_running = |list: &Value| list["jobs"][0]["status"] == "running";
    daemon.answer_when("/api/cloud/jobs?sync_active=true", is_running).await;
    simpletuner.says(&["cloud", "jobs", "list", "--status", "running"], 0, &["running"]).await;
    simpletuner.says(&["cloud", "jobs", "logs", short], 0, &["[COG]"]).await;
    simpletuner.says(&["jobs", "logs", short], 0, &["[COG]"]).await;
    simpletuner.says(&["cloud", "jobs", "retry", short], 1, &["running"]).await;
    simpletuner.says(&["cloud", "jobs", "delete", short, "--force"], 1, &["running"]).await;
    simpletuner.says(&["cloud", "jobs", "cancel", short], 0, &["cancelled successfully"]).await;
    daemon.job_when(&id, |job| job["status"] == "cancelled").await;
    simpletuner.says(&["cloud", "jobs", "cancel", short], 1, &["cancelled"]).await;
    simpletuner.says(&["jobs", "cancel", short], 1, &["cancelled"]).await;
    simpletuner.says(&["cloud", "jobs", "retry", short], 0, &["Job ID"]).await;
    simpletuner.says(&["cloud", "jobs", "delete", short, "--force"], 0, &[]).await;
    simpletuner.says(&["cloud", "jobs", "get", &id], 1, &["not found"]).await;
}

#[actix_web::test]
async fn its_commands_on_settings_and_on_how_things_are_work_unchanged() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let simpletuner = CommandLine::of(&daemon);

    simpletuner.says(&["cloud", "cost-limit", "show"], 0, &["Enabled: False", "$0.00"]).await;
    simpletuner.says(&["cloud", "cost-limit", "set", "--amount", "50"], 0, &["$50"]).await;
    simpletuner.says(&["cloud", "cost-limit", "show"], 0, &["Enabled: True", "$50.00"]).await;
    simpletuner.says(&["cloud", "cost-limit", "disable"], 0, &[]).await;
    simpletuner.says(&["cloud", "cost-limit", "show"], 0, &["Enabled: False", "$50.00"]).await;

    let set = ["cloud", "config", "set", "webhook_url", "https://jobs.example.org"];
    simpletuner.says(&set, 0, &["webhook_url"]).await;
    let route = "https://jobs.example.org/api/webhooks/replicate";
    simpletuner.says(&["cloud", "config", "show"], 0, &[route]).await;
    let token = "r8_0123456789012345678901234567890123456";
    simpletuner.says(&["cloud", "config", "set-token", "--token", token], 0, &[]).await;
    let shown = simpletuner.says(&["cloud", "config", "show"], 0, &["has_api_token: True"]).await;
    assert!(!shown.contains(token), "{shown}");
    simpletuner.says(&["cloud", "config", "delete-token"], 0, &[]).await;

    let status = ["Overall Status", "database", "replicate", "All systems operational"];
    simpletuner.says(&["cloud", "status"], 0, &status).await;
    simpletuner.says(&["notifications", "events"], 0, &["job.completed"]).await;
    simpletuner.says(&["notifications", "channels"], 0, &[]).await;
    simpletuner.says(&["notifications", "history"], 0, &[]).await;
}

#[actix_web::test]
async fn its_commands_that_follow_that_list_for_programs_and_that_clean_up_work_unchanged() {
    let simulator = Simulator::start(SimulatorOptions::default()).await.expect("it starts");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let simpletuner = CommandLine::of(&daemon);
    let id = daemon.submit(&json!({"config_name": "cats"})).await;
    let taken = daemon.taken(&id).await;
    let end = JobUpdate {
        logs: Some("Step 1/2\nStep 2/2 – done\n".to_owned()),
        error: Some("CUDA out of memory".to_owned()),
        ..JobUpdate::status(Status::Failed)
    };
    simulator.update_job(&taken, end).expect("it ends");

    let listed =
        simpletuner.says(&["cloud", "jobs", "list", "--sync", "--format", "json"], 0, &[]).await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let jobs = listed.get("jobs").unwrap_or(&listed);
    assert_eq!((&jobs[0]["job_id"], &jobs[0]["status"]), (&json!(id), &json!("failed")));
    daemon.logs_settled().await;
    simpletuner.says(&["cloud", "jobs", "logs", &id, "--follow"], 0, &["Step 2/2", "failed"]).await;
    simpletuner.says(&["jobs", "logs", &id, "--follow"], 0, &["Step 2/2"]).await;
    simpletuner
        .says(&["cloud", "jobs", "get", &id, "--format", "json"], 0, &["CUDA out of memory"])
        .await;

    let said = simpletuner.says(&["jobs", "retry", &id], 0, &["resubmitted successfully"]).await;
    let again = said.split("New Job ID: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let again = again.expect("an identifier").to_owned();
    assert_ne!(again, id);
    daemon.taken(&again).await;
    simpletuner.says(&["jobs", "cancel", &again], 0, &["cancelled"]).await;
    simpletuner.says(&["jobs", "delete", &again, "--force"], 0, &["deleted"]).await;
    simpletuner.says(&["jobs", "purge", "--all", "--force"], 0, &["Deleted 1 job(s)"]).await;
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 0);
    simpletuner.says(&["jobs", "purge", "--all", "--force"], 0, &["No jobs found"]).await;
}
