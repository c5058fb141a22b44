//! The daemon without its threads: what the actors do, one step after the other, over the same domain
//! and store code. It can die between any two statements of a transaction, and between any two steps.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::{Connection as _, InstrumentationEvent, SimpleConnection as _};
use jobsyncd::config::DatabaseUrl;
use jobsyncd::db::connection::{Connection, Role};
use jobsyncd::db::error::StoreError;
use jobsyncd::db::jobs::{self, ActiveJob, KnownJob};
use jobsyncd::db::observations::{Effect, Report, record};
use jobsyncd::db::queue::{self, Claim, NewSubmission, Refusal};
use jobsyncd::domain::breaker::Breaker;
use jobsyncd::domain::cost::Prices;
use jobsyncd::domain::job::JobId;
use jobsyncd::domain::observation::{Observation, Source};
use jobsyncd::domain::poll_round::{Density, PollRound, RoundScope};
use jobsyncd::domain::queue::Limits;
use jobsyncd::domain::rate_budget::RateBudget;
use jobsyncd::domain::signature::{SignatureHeaders, SigningKey, require_recent, verify};
use jobsyncd::domain::timestamp::{Timestamp, from_micros};
use jobsyncd::provider::json;
use jobsyncd::provider::log_readers::LogReaders;
use jobsyncd::provider::replicate::{self, Heard, Prediction, PredictionPage};
use jobsyncd::provider::webhook_body::{self, WebhookBody};
use jobsyncd::provider::{CandidatePage, Page};

use crate::world::Micros;

/// The process ended without warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crashed;

/// A webhook on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

/// What the provider answered to a call, or why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Said(String),
    NotFound,
    Throttled {
        seconds: u64,
    },
    /// A 5xx, a reset connection or no answer in time.
    Failed,
}

/// What the daemon's clocks say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    /// The time of day, which may jump.
    pub(crate) time: Micros,
    /// A clock that only ever goes on.
    pub(crate) steady: Micros,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called<T> {
    Said(T),
    NotFound,
    /// Nothing was learnt.
    Nothing,
}

/// A running daemon.
pub(crate) struct Daemon {
    connection: Connection,
    /// How many statements from now the process dies; 0 for not at all.
    dies_in: Arc<AtomicU32>,
    key: SigningKey,
    readers: LogReaders,
    prices: Prices,
    budget: RateBudget,
    breaker: Breaker,
    density: Density,
}

impl Daemon {
    /// Starts on what the last one left.
    pub(crate) fn start(database: &Path, key: &SigningKey, steady: Micros) -> Self {
        let url = DatabaseUrl::Sqlite(database.to_owned());
        let mut connection = Connection::open(&url, Role::Writer).expect("a database");
        connection.migrate().expect("tables");
        let dies_in = Arc::new(AtomicU32::new(0));
        if let Connection::Sqlite(sqlite) = &mut connection {
            // What a process has written outlives it; only a power cut would need more.
            sqlite.batch_execute("PRAGMA synchronous = OFF").expect("a pragma");
            let dies_in = dies_in.clone();
            sqlite.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                let is_step = matches!(
                    event,
                    InstrumentationEvent::StartQuery { .. }
                        | InstrumentationEvent::BeginTransaction { .. }
                        | InstrumentationEvent::CommitTransaction { .. }
                );
                if is_step && count_down(&dies_in) {
                    resume_unwind(Box::new(Crashed));
                }
            });
        }
        Self {
            connection,
            dies_in,
            key: key.clone(),
            readers: LogReaders::default(),
            prices: Prices::replicate([]),
            budget: RateBudget::new(0.2, from_micros(steady)),
            breaker: Breaker::default(),
            density: Density::default(),
        }
    }

    /// Makes the process die so many statements from now.
    pub(crate) fn die_in(&self, statements: u32) {
        self.dies_in.store(statements, Ordering::Relaxed);
    }

    /// The database, for who looks at it from outside.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Checks and reads a webhook. An error is the status that its sender gets.
    pub(crate) fn understand(&self, webhook: &Webhook, now: Micros) -> Result<Report, u16> {
        let now = from_micros(now);
        let headers = SignatureHeaders {
            id: Some(&webhook.id),
            timestamp: Some(&webhook.timestamp),
            signature: Some(&webhook.signature),
        };
        require_recent(headers, now).map_err(|_| 401_u16)?;
        verify(&self.key, headers, &webhook.body, now).map_err(|_| 401_u16)?;
        let read = webhook_body::read(replicate::NAME, &webhook.body, now, &self.readers);
        let (observation, creates) = match read.map_err(|_| 400_u16)? {
            WebhookBody::Provider { said, .. } => (*said, true),
            WebhookBody::Trainer(said) => (*said, false),
            WebhookBody::Nameless => return Err(400),
        };
        let webhook_id = Some(webhook.id.clone());
        Ok(Report { webhook_id, ..Report::of_call(observation, creates) })
    }

    /// Stores a batch, and answers what became of each of it.
    pub(crate) fn record(
        &mut self,
        reports: &[Report],
        now: Micros,
    ) -> Result<Vec<Effect>, Crashed> {
        let Self { connection, prices, .. } = self;
        let recorded =
            survive(|| record(connection, reports, prices, from_micros(now)))?.expect("a commit");
        Ok(recorded.outcomes.into_iter().map(|outcome| outcome.effect).collect())
    }

    /// Stores a submission. Answers the job's identifier.
    pub(crate) fn enqueue(&mut self, new: &NewSubmission, now: Micros) -> Result<JobId, Crashed> {
        let Self { connection, prices, .. } = self;
        let enqueued = survive(|| queue::enqueue(connection, new, prices, from_micros(now)))?;
        Ok(enqueued.expect("a commit").job.job_id)
    }

    /// Takes out of the queue what may be handed over.
    pub(crate) fn claim(&mut self, now: Micros) -> Result<Vec<Claim>, Crashed> {
        let limits = Limits { max_concurrent: 1_000, user_max_concurrent: 1_000, is_paused: false };
        let claimed = survive(|| queue::claim(&mut self.connection, limits, 16, from_micros(now)))?;
        Ok(claimed.expect("a commit").0)
    }

    /// The jobs of which it is not known whether the provider took them.
    pub(crate) fn unresolved(&mut self) -> Vec<Claim> {
        queue::unresolved(&mut self.connection).expect("a list")
    }

    /// Stores that the provider does not have a job.
    pub(crate) fn refuse(
        &mut self,
        job_id: &JobId,
        refusal: &Refusal,
        words: &str,
        now: Micros,
    ) -> Result<(), Crashed> {
        let Self { connection, prices, .. } = self;
        let now = from_micros(now);
        survive(|| queue::refuse(connection, job_id, refusal, words, prices, now))?
            .expect("a commit");
        Ok(())
    }

    /// Those of the provider's jobs that are known.
    pub(crate) fn known(&mut self, ids: &[String]) -> Vec<KnownJob> {
        jobs::known_at_provider(&mut self.connection, replicate::NAME, ids).expect("a list")
    }

    /// A page of the jobs among which a submission is looked for.
    pub(crate) fn candidates(
        &mut self,
        since: Option<Timestamp>,
        cursor: Option<&str>,
        submission_input: Option<&str>,
        clocks: Clocks,
        ask: impl FnOnce() -> Answer,
    ) -> Called<CandidatePage> {
        self.call(clocks, ask, |_, text, _| {
            let page: PredictionPage = json::read(text.as_bytes()).ok()?;
            page.into_candidates(cursor, since, submission_input).ok()
        })
    }

    /// The jobs that a round asks for.
    pub(crate) fn active(&mut self, scope: &RoundScope) -> Vec<ActiveJob> {
        jobs::active(&mut self.connection, scope).expect("a list")
    }

    /// What the round knows before it begins.
    pub(crate) fn begin_round(&self, jobs: &[ActiveJob]) -> PollRound {
        let listed = jobs.iter().filter(|job| !job.wants_log);
        let listed = listed.map(|job| (job.provider_job_id.clone(), job.newer_jobs));
        PollRound::new(listed, self.density)
    }

    pub(crate) fn end_round(&mut self, round: &PollRound) {
        self.density = round.density();
    }

    /// A page of the list.
    pub(crate) fn page(
        &mut self,
        cursor: Option<&str>,
        clocks: Clocks,
        ask: impl FnOnce() -> Answer,
    ) -> Called<Page> {
        self.call(clocks, ask, |readers, text, now| {
            let page: PredictionPage = json::read(text.as_bytes()).ok()?;
            Some(page.into_page(cursor, replicate::NAME, now, readers))
        })
    }

    /// One job, with its log.
    pub(crate) fn job(
        &mut self,
        clocks: Clocks,
        ask: impl FnOnce() -> Answer,
    ) -> Called<Observation> {
        self.call(clocks, ask, |readers, text, now| {
            let prediction: Prediction = json::read(text.as_bytes()).ok()?;
            let provider = replicate::NAME;
            let heard = Heard { provider, source: Source::Poll, at: now, asked_at: Some(now) };
            Some(prediction.into_snapshot(heard, readers).observation)
        })
    }

    /// A call under budget and breaker.
    fn call<T>(
        &mut self,
        clocks: Clocks,
        ask: impl FnOnce() -> Answer,
        read: impl FnOnce(&LogReaders, &str, Timestamp) -> Option<T>,
    ) -> Called<T> {
        let (time, now) = (from_micros(clocks.time), from_micros(clocks.steady));
        if self.breaker.admit(now).is_err() || self.budget.take(now).is_err() {
            return Called::Nothing;
        }
        let (called, is_outage) = match ask() {
            Answer::Said(text) => match read(&self.readers, &text, time) {
                Some(said) => (Called::Said(said), false),
                None => (Called::Nothing, true),
            },
            Answer::NotFound => (Called::NotFound, false),
            Answer::Throttled { seconds } => {
                self.budget.block(seconds, now);
                (Called::Nothing, false)
            }
            Answer::Failed => (Called::Nothing, true),
        };
        // Who listens to the breaker is told of outages; nobody does here.
        let _ = if is_outage { self.breaker.failed(now) } else { self.breaker.succeeded() };
        called
    }
}

/// Whether this was the last step.
fn count_down(dies_in: &AtomicU32) -> bool {
    let left = dies_in.load(Ordering::Relaxed);
    if left == 0 {
        return false;
    }
    dies_in.store(left - 1, Ordering::Relaxed);
    left == 1
}

/// Runs what may be cut short by the death of the process.
fn survive<T>(
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<Result<T, StoreError>, Crashed> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| match panic.downcast::<Crashed>() {
        Ok(crashed) => *crashed,
        Err(other) => resume_unwind(other),
    })
}
