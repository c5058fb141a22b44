//! What a reader finds when the curtain rises: a daemon that follows an account with some jobs in it.

use jobsyncd::simulator::{JobSpec, JobUpdate, Simulator, SimulatorOptions, Status};
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase};
use crate::support::webhook::{SECRET, Signer};

/// A daemon with its account and its database.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) database: TestDatabase,
    pub(crate) daemon: TestDaemon,
}

/// A daemon that looks at nothing by itself, so that only what a test does happens.
pub(crate) fn quiet(simulator: &Simulator) -> TestDaemonBuilder {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .with("SIMPLETUNER_JOB_POLL_INTERVAL", "86400")
        .with("JOBSYNCD__PROGRESS__TTL_SECONDS", "1")
        // Tests leave pages faster than readers do, on machines that may have other work.
        .with("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "20")
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_with(|builder| builder).await
    }

    pub(crate) async fn set_with(
        change: impl FnOnce(TestDaemonBuilder) -> TestDaemonBuilder,
    ) -> Self {
        let options = SimulatorOptions::default();
        let simulator = Simulator::start(options).await.expect("the simulator starts");
        let database = TestDatabase::new(Backend::Sqlite);
        let daemon = change(quiet(&simulator)).start(&database).await;
        Self { simulator, database, daemon }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.daemon.url)
    }

    /// A job that was submitted here under a name and that the provider has taken. Answers our identifier
    /// and the provider's.
    pub(crate) async fn submitted(&self, name: &str) -> (String, String) {
        let id = self.daemon.submit(&json!({"config_name": name})).await;
        let taken = self.daemon.taken(&id).await;
        (id, taken)
    }

    /// The same, running, with a log that is so far.
    pub(crate) async fn running(&self, name: &str, step: u32) -> (String, String) {
        let (id, taken) = self.submitted(name).await;
        self.simulator.set_status(&taken, Status::Processing).expect("it starts");
        self.simulator.append_logs(&taken, &training_log(1, step)).expect("it prints");
        self.tell(&taken).await;
        (id, taken)
    }

    /// Lets the provider send a webhook that tells how its job is now.
    pub(crate) async fn tell(&self, taken: &str) {
        let job = self.simulator.job(taken).expect("a job");
        let id = format!("msg_{}", uuid_like());
        Signer::default().deliver(&self.daemon, &id, job).await.ok();
    }

    /// Ends a job, and tells so.
    pub(crate) async fn end(&self, taken: &str, update: JobUpdate) {
        self.simulator.update_job(taken, update).expect("it ends");
        self.tell(taken).await;
    }

    /// A job that the account has, and that is found by a sync alone.
    pub(crate) fn discoverable(&self) -> String {
        self.simulator.create_job(JobSpec::manual()).expect("a job")
    }

    pub(crate) async fn leave(self) {
        self.daemon.stop().await;
        self.simulator.stop().await;
    }
}

/// An identifier that no other webhook has.
fn uuid_like() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// How many steps a training takes here.
pub(crate) const STEPS: u32 = 2_000;

/// What SimpleTuner prints for these steps, with a checkpoint every 500.
pub(crate) fn training_log(first: u32, last: u32) -> String {
    let mut log = String::new();
    for step in (first..=last).filter(|step| step % 10 == 0 || *step == last) {
        let (epoch, percent) = (1 + step / 100, step * 100 / STEPS);
        let loss = 0.05 + 0.4 / (1.0 + f64::from(step) / 150.0) + f64::from(step % 7) * 0.004;
        let rate = 1e-4 * (1.0 - f64::from(step) / f64::from(STEPS) * 0.9);
        log.push_str(&format!(
            "\rEpoch {epoch}/21, Steps:  {percent}%|███       | {step}/{STEPS} [00:{:02}<00:59, 4.02it/s, lr={rate:.3e}, step_loss={loss:.4}]",
            step % 60
        ));
        if step % 500 == 0 {
            log.push_str(&format!(
                "\n[STAGE] ⏳ Saving Checkpoint: Saving checkpoint to output/checkpoint-{step}\n"
            ));
        }
    }
    log
}

/// A job with a text of somebody who means harm wherever a provider has a text of its own.
pub(crate) fn hostile_prediction(id: &str, text: &str) -> Value {
    json!({
        "id": id, "status": "failed", "model": text, "version": text, "error": text,
        "logs": format!("{text}\n{text} step 1/2\n"), "output": text,
        "created_at": "2026-03-01T10:00:00Z", "started_at": "2026-03-01T10:00:05Z",
        "completed_at": "2026-03-01T10:05:00Z", "urls": {"web": text}, "metrics": {"predict_time": 295.0},
    })
}
