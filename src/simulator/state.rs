//! Everything the simulator knows, behind one lock that is never held across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use tokio::sync::{mpsc, watch};

use super::catalog;
use super::courier::Outgoing;
use super::deliveries::DeliveryLog;
use super::faults::FaultQueue;
use super::job::{Job, Motion, Told};
use super::ledger::{Ledger, OrderKey, PageQuery};
use super::oddity::Oddity;
use super::options::{SimulatorError, SimulatorOptions};
use super::seed::{self, Seed};
use super::spec::{Course, JobSpec, JobUpdate};
use super::status::JobKind;
use super::throttle::Throttle;
use super::view::{JobView, Site};
use super::webhooks::{SecretError, Signer, Subscription};

/// A page of a list, in wire form but for the URLs of its neighbours.
pub(super) struct PageView {
    pub(super) results: Vec<JobView>,
    pub(super) next: Option<super::ledger::Cursor>,
    pub(super) previous: Option<super::ledger::Cursor>,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    /// The moments at which a job with a webhook must be looked at, soonest first.
    pub(super) looks: BTreeSet<(DateTime<Utc>, OrderKey)>,
    pub(super) creates: Throttle,
    pub(super) others: Throttle,
    pub(super) faults: FaultQueue,
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) deliveries: DeliveryLog,
    pub(super) latency: Duration,
}

/// What every thread of the simulator shares.
pub(super) struct Shared {
    pub(super) options: SimulatorOptions,
    pub(super) site: Site,
    pub(super) signer: Signer,
    state: Mutex<State>,
    /// Unbounded: a webhook that is owed cannot be refused, and jobs are what bounds them.
    pub(super) outgoing: mpsc::UnboundedSender<Outgoing>,
    /// Raised with every change of a job or a delivery, for those who wait for one.
    pub(super) revision: watch::Sender<u64>,
    /// Webhooks that are owed and neither delivered nor given up.
    pub(super) outstanding: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(
        options: SimulatorOptions,
        base_url: String,
        outgoing: mpsc::UnboundedSender<Outgoing>,
    ) -> Result<Self, SecretError> {
        let state = State {
            ledger: Ledger::default(),
            looks: BTreeSet::new(),
            creates: Throttle::new(options.creates_per_minute),
            others: Throttle::new(options.others_per_minute),
            faults: FaultQueue::default(),
            calls: BTreeMap::new(),
            deliveries: DeliveryLog::default(),
            latency: options.latency,
        };
        Ok(Self {
            site: Site {
                base_url,
                retention: TimeDelta::seconds(i64::from(options.retention_seconds)),
                archive: TimeDelta::seconds(i64::from(options.archive_seconds)),
            },
            signer: Signer::from_secret(&options.webhook_secret)?,
            options,
            state: Mutex::new(state),
            outgoing,
            revision: watch::Sender::new(0),
            outstanding: watch::Sender::new(0),
        })
    }

    /// The state. A thread that panicked while it held the lock left nothing half done that matters here.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a job and answers it as the API shows it.
    pub(super) fn create(
        &self,
        spec: JobSpec,
        is_hidden_once: bool,
    ) -> Result<(String, JobView), SimulatorError> {
        let job = Job { is_hidden_once, ..self.job(spec, Utc::now())? };
        let (id, view) = (job.id.clone(), self.site.show(&job, Utc::now()));
        let created_at = job.created_at;
        let mut state = self.lock();
        let key = state.ledger.insert(job);
        self.look(&mut state, key, created_at);
        drop(state);
        self.announce();
        Ok((id, view))
    }

    fn job(&self, spec: JobSpec, now: DateTime<Utc>) -> Result<Job, SimulatorError> {
        let (model, version) =
            catalog::resolve(&spec.version).ok_or(SimulatorError::Version(spec.version))?;
        // Milliseconds, as the provider has it: later stamps have more digits and stay later.
        let created_at = spec.created_at.unwrap_or(now).trunc_subsecs(3);
        let course =
            spec.course.unwrap_or_else(|| Course::Scenario(self.options.default_scenario.clone()));
        let motion = match course {
            Course::Manual => Motion::Manual(Told::default()),
            Course::Scenario(mut scenario) => {
                scenario.speed *= self.options.speed;
                Motion::Scripted { scenario: Box::new(scenario), canceled_at: None }
            }
        };
        let events = spec.webhook_events_filter;
        let number = self.lock().ledger.len();
        let by_turns = self.options.is_hostile.then(|| Oddity::ALL[number % Oddity::ALL.len()]);
        Ok(Job {
            id: seed::new_id(),
            kind: spec.kind,
            model,
            version,
            destination: spec.destination,
            input: spec.input,
            created_at,
            deadline: spec
                .cancel_after_seconds
                .map(|s| created_at + TimeDelta::seconds(i64::from(s))),
            subscription: spec.webhook.map(|url| Subscription::new(url, events)),
            motion,
            is_hidden_once: false,
            oddities: spec.oddities.into_iter().chain(by_turns).collect(),
        })
    }

    /// Fills the account and answers the ids, newest first.
    pub(super) fn seed(&self, plan: &Seed) -> Vec<String> {
        let mut state = self.lock();
        state.ledger.reserve(plan.count as usize);
        let jobs = seed::jobs(plan, Utc::now().trunc_subsecs(3));
        jobs.map(|job| {
            let id = job.id.clone();
            state.ledger.insert(job);
            id
        })
        .collect()
    }

    /// The job as GET answers it, or `None` if there is none of this kind, or it is hidden this once.
    pub(super) fn show(&self, kind: JobKind, id: &str) -> Option<JobView> {
        let is_hidden = std::mem::take(&mut self.lock().find(kind, id)?.is_hidden_once);
        if is_hidden { None } else { self.peek(id) }
    }

    /// The job as GET answers it, hidden or not.
    pub(super) fn peek(&self, id: &str) -> Option<JobView> {
        let state = self.lock();
        // Copied, so that the lock is not held while a long log is written.
        let job = state.ledger.key(id).and_then(|key| state.ledger.get(key))?.clone();
        drop(state);
        Some(self.site.show(&job, Utc::now()))
    }

    /// Cancels a job and answers it; one that has ended stays as it is.
    pub(super) fn cancel(&self, kind: JobKind, id: &str) -> Option<JobView> {
        let now = Utc::now();
        let mut state = self.lock();
        let job = state.find(kind, id)?;
        job.cancel(now);
        let view = self.site.show(job, now);
        if let Some(key) = state.ledger.key(id) {
            self.look(&mut state, key, now);
        }
        drop(state);
        self.announce();
        Some(view)
    }

    /// Tells a manual job what to do.
    pub(super) fn update(&self, id: &str, update: JobUpdate) -> Result<(), SimulatorError> {
        let now = Utc::now();
        let mut state = self.lock();
        let unknown = || SimulatorError::UnknownJob(id.to_owned());
        let key = state.ledger.key(id).ok_or_else(unknown)?;
        let job = state.ledger.get_mut(key).ok_or_else(unknown)?;
        match &mut job.motion {
            Motion::Manual(told) => told.apply(update, now),
            Motion::Scripted { .. } => return Err(SimulatorError::NotManual(id.to_owned())),
        }
        self.look(&mut state, key, now);
        drop(state);
        self.announce();
        Ok(())
    }

    /// Whether a job has ended (an unknown one counts as ended), and when it will by itself.
    pub(super) fn end_of(&self, id: &str) -> (bool, Option<DateTime<Utc>>) {
        let state = self.lock();
        let job = state.ledger.key(id).and_then(|key| state.ledger.get(key));
        job.map_or((true, None), |job| {
            (job.at(Utc::now()).status.is_terminal(), job.ends_at().map(|(end, _)| end))
        })
    }

    /// A page of the list of `kind`.
    pub(super) fn page(&self, kind: JobKind, query: &PageQuery) -> PageView {
        let now = Utc::now();
        let state = self.lock();
        let page = state.ledger.page(kind, query);
        PageView {
            results: page.jobs.iter().map(|job| self.site.show_in_list(job, now)).collect(),
            next: page.next,
            previous: page.previous,
        }
    }

    /// Wakes everyone who waits for a change.
    pub(super) fn announce(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }
}

impl State {
    fn find(&mut self, kind: JobKind, id: &str) -> Option<&mut Job> {
        let key = self.ledger.key(id)?;
        self.ledger.get_mut(key).filter(|job| job.kind == kind)
    }
}
