//! A faithful Replicate: a real HTTP server with the provider's routes, its webhooks, its limits and, on
//! request, its failures. Tests, `jobsyncd demo`, `jobsyncd simulate` and the benchmarks all use it.
//!
//! ```no_run
//! # async fn example() -> Result<(), jobsyncd::simulator::SimulatorError> {
//! use jobsyncd::simulator::{Fault, FaultKind, JobSpec, Simulator, SimulatorOptions, Status};
//!
//! let simulator = Simulator::start(SimulatorOptions::default()).await?;
//! let job = simulator.create_job(JobSpec::manual().webhook("http://127.0.0.1:8001/api/webhooks/replicate"))?;
//! simulator.fail_next(Fault::new("GET /predictions/{id}", FaultKind::Reset).times(2));
//! simulator.set_status(&job, Status::Processing)?;
//! simulator.deliveries_settled().await;
//! simulator.stop().await;
//! # Ok(()) }
//! ```
//!
//! It runs on a thread of its own, so that it works beside any runtime. Its state stands behind one lock;
//! no answer depends on a timer: where a scripted job stands is computed from the time when it is asked.

mod catalog;
mod control;
mod courier;
mod create;
mod deliveries;
mod demo;
mod faults;
mod front;
mod job;
mod ledger;
mod looks;
mod oddity;
mod options;
mod problem;
mod routes;
mod scenario;
mod seed;
mod server;
mod spec;
mod state;
mod status;
mod throttle;
mod trainer_log;
mod view;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use catalog::{DEFAULT_MODEL, version_of};
pub use deliveries::{Delivery, DeliveryOutcome};
pub use faults::{ErrorBody, Fault, FaultKind, WebhookFault, WebhookFaultKind};
pub use oddity::Oddity;
pub use options::{SimulatorError, SimulatorOptions};
pub use scenario::{End, Scenario};
pub use seed::Seed;
pub use spec::{Course, JobSpec, JobUpdate};
pub use status::{JobKind, Status};
pub use webhooks::{SecretError, WebhookEvent};

use server::Running;
use state::Shared;

/// A running simulator. Dropping it stops it, too, but only [`stop`](Self::stop) waits for that.
pub struct Simulator {
    shared: Arc<Shared>,
    running: Running,
}

impl Simulator {
    /// Starts a simulator; it listens when this returns.
    pub async fn start(options: SimulatorOptions) -> Result<Self, SimulatorError> {
        let (shared, running) = server::start(options).await?;
        Ok(Self { shared, running })
    }

    /// Stops listening, drops every open call, and waits until all threads are done.
    pub async fn stop(mut self) {
        self.running.stop().await;
    }

    /// The base of the API, as in `http://127.0.0.1:40123/v1`.
    pub fn base_url(&self) -> &str {
        &self.shared.site.base_url
    }

    /// The API token that is let in.
    pub fn token(&self) -> &str {
        &self.shared.options.token
    }

    /// The secret that webhooks are signed with, `whsec_…`.
    pub fn webhook_secret(&self) -> &str {
        &self.shared.options.webhook_secret
    }

    /// Creates a job and answers its id. Not counted as a call.
    pub fn create_job(&self, spec: JobSpec) -> Result<String, SimulatorError> {
        self.shared.create(spec, false).map(|(id, _)| id)
    }

    /// Creates many jobs at once and answers their ids, newest first.
    pub fn seed(&self, plan: &Seed) -> Vec<String> {
        self.shared.seed(plan)
    }

    /// How many jobs there are.
    pub fn job_count(&self) -> usize {
        self.shared.lock().ledger.len()
    }

    /// The job as GET answers it now, or `None` if there is none. Not counted as a call.
    pub fn job(&self, id: &str) -> Option<serde_json::Value> {
        self.shared.peek(id).and_then(|view| serde_json::to_value(view).ok())
    }

    /// Tells a manual job what to do. The webhooks this owes are sent.
    pub fn update_job(&self, id: &str, update: JobUpdate) -> Result<(), SimulatorError> {
        self.shared.update(id, update)
    }

    /// Gives a manual job a status; started and completed are now.
    pub fn set_status(&self, id: &str, status: Status) -> Result<(), SimulatorError> {
        self.update_job(id, JobUpdate::status(status))
    }

    /// Puts text at the end of a manual job's log.
    pub fn append_logs(&self, id: &str, text: &str) -> Result<(), SimulatorError> {
        self.update_job(
            id,
            JobUpdate { append_logs: Some(text.to_owned()), ..JobUpdate::default() },
        )
    }

    /// Cancels a job as its owner would on the provider's web page; one that has ended stays as it is.
    pub fn cancel_job(&self, id: &str) -> Result<(), SimulatorError> {
        let canceled = [JobKind::Prediction, JobKind::Training]
            .into_iter()
            .any(|kind| self.shared.cancel(kind, id).is_some());
        if canceled { Ok(()) } else { Err(SimulatorError::UnknownJob(id.to_owned())) }
    }

    /// Sends a webhook with the job as it is now, whatever was sent before; nothing if it has none.
    pub fn send_webhook(&self, id: &str, event: WebhookEvent) -> Result<(), SimulatorError> {
        self.shared.send_webhook(id, event)
    }

    /// Lets the next matching call, or the next few, go wrong. Faults wait in the order they came.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.lock().faults.push(fault);
    }

    /// Lets the next matching webhook, or the next few, go wrong.
    pub fn fail_next_webhook(&self, fault: WebhookFault) {
        self.shared.lock().faults.push_webhook(fault);
    }

    /// Forgets the faults that have not come yet.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Lets every answer of the API wait this long, all of them at the same time.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.lock().latency = latency;
    }

    /// How often each route was called: `GET /predictions/{id}` → 3. Refused calls count, too.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.lock().calls.clone()
    }

    /// How often one route was called.
    pub fn calls_to(&self, route: &str) -> u64 {
        self.shared.lock().calls.get(route).copied().unwrap_or_default()
    }

    /// Counts calls from zero again.
    pub fn reset_calls(&self) {
        self.shared.lock().calls.clear();
    }

    /// The last 10,000 webhooks and what became of them, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.lock().deliveries.all()
    }

    /// Waits until every webhook owed so far is delivered or given up.
    ///
    /// Those that a scripted job will owe later, that wait for the 500 ms between two logs, or that a
    /// fault holds back for their successor, are not waited for.
    pub async fn deliveries_settled(&self) {
        let mut outstanding = self.shared.outstanding.subscribe();
        // The sender lives in `self`, so that this cannot end early.
        let _ = outstanding.wait_for(|count| *count == 0).await;
    }

    /// Waits until a webhook of this event of this job is delivered, given up or dropped.
    pub async fn delivered(&self, id: &str, event: WebhookEvent) -> Delivery {
        let mut revisions = self.shared.revision.subscribe();
        loop {
            if let Some(delivery) = self.shared.lock().deliveries.finished(id, event) {
                return delivery;
            }
            // The sender lives in `self`, so that there always is a next revision to wait for.
            let _ = revisions.changed().await;
        }
    }

    /// Fills the account for a demonstration, and lets a new job appear every 20 seconds from now on.
    pub fn populate_demo(&self, webhook_url: Option<String>) -> Result<(), SimulatorError> {
        demo::populate(&self.shared, webhook_url.as_deref())?;
        self.running.spawn(demo::keep_arriving(Arc::clone(&self.shared), webhook_url));
        Ok(())
    }
}
