//! The one way by which what was observed enters the store.

mod join;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::connection::Connection;
use super::error::StoreError;
use super::events::EventAppender;
use super::logs::WantedLog;
use super::queue::Moved;
use super::{deliveries, job_series, job_texts, jobs, logs, queue};
use crate::domain::cost::{Prices, to_usd};
use crate::domain::event::{Event, LoggedEvent, Notice};
use crate::domain::job::{Job, JobId, JobStatus};
use crate::domain::job_texts::JobText;
use crate::domain::job_view::JobView;
use crate::domain::liveness::Alarm;
use crate::domain::observation::{Change, Observation, Source, merge};
use crate::domain::queue::QueueStatus;
use crate::domain::submission::is_providers_fault;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook_silence::FoundByAsking;

/// Which job an observation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The one that the provider has under the observation's identifier.
    AtProvider,
    /// The same, and it is said to be the submission of this job of ours.
    Submission(JobId),
    /// This job of ours, which no provider has.
    Ours(JobId),
}

/// An observation on its way into the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which job it is about.
    pub subject: Subject,
    /// What was observed.
    pub observation: Observation,
    /// The sender's id of the message, by which a repeated one is known.
    pub webhook_id: Option<String>,
    /// Whether a job that the store does not know is created.
    pub creates: bool,
}

impl Report {
    /// What a call of ours found out. Unknown jobs are created only where `creates` says so.
    pub fn of_call(observation: Observation, creates: bool) -> Self {
        Self { subject: Subject::AtProvider, observation, webhook_id: None, creates }
    }

    /// What the provider says of a job that it was asked to begin for `job_id`.
    pub fn of_submission(job_id: JobId, observation: Observation) -> Self {
        Self { subject: Subject::Submission(job_id), ..Self::of_call(observation, true) }
    }

    /// How a job ended that no provider ever had.
    pub fn of_ours(
        job: &Job,
        source: Source,
        status: JobStatus,
        error_message: Option<String>,
        at: Timestamp,
    ) -> Self {
        let observation = Observation {
            by_provider: false,
            status: Some(status),
            completed_at: Some(at),
            error_message,
            ..Observation::silent(&job.provider, &job.job_id.0, source, at)
        };
        Self { subject: Subject::Ours(job.job_id.clone()), ..Self::of_call(observation, false) }
    }
}

/// What became of an observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Our identifier of the job; the provider's, where we do not know the job.
    pub job_id: JobId,
    /// What became of it.
    pub effect: Effect,
}

/// What an observation did.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// It made a job known.
    Created(Map<String, Value>),
    /// It changed a job: the fields that changed, as the contract names them.
    Changed(Map<String, Value>),
    /// All of it was known.
    Unchanged,
    /// The same message was here before.
    Duplicate,
    /// It is about a job that we do not know and do not create.
    UnknownJob,
}

/// What the store has to tell after the commit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recorded {
    /// What became of each observation, in their order.
    pub outcomes: Vec<Outcome>,
    /// The events to announce, in the order of the log.
    pub events: Vec<LoggedEvent>,
    /// The progress to announce.
    pub notices: Vec<Notice>,
    /// The jobs that have ended.
    pub ended: Vec<JobId>,
    /// Those of them that had a place in the queue.
    pub left_queue: Vec<JobId>,
    /// Those of them whose logs did not come along.
    pub wanted_logs: Vec<WantedLog>,
    /// Changes that were found by asking, of jobs whose provider was to tell of them.
    pub found_by_asking: Vec<FoundByAsking>,
    /// Whether anything was written at all. What was known already is not written again, and says
    /// nothing about whether the database could be.
    pub has_written: bool,
}

/// Merges a batch of observations, and appends what they changed to the log of events, in one
/// transaction: all of it is kept, or nothing.
///
/// # Errors
/// Where the database fails. Nothing has changed then.
pub fn record(
    connection: &mut Connection,
    reports: &[Report],
    prices: &Prices,
    now: Timestamp,
) -> Result<Recorded, StoreError> {
    connection.write(|connection| record_within(connection, reports, prices, now))
}

/// The same within a transaction that writes.
///
/// # Errors
/// Where the database fails.
pub(super) fn record_within(
    connection: &mut Connection,
    reports: &[Report],
    prices: &Prices,
    now: Timestamp,
) -> Result<Recorded, StoreError> {
    let mut recorder = Recorder {
        log: EventAppender::lock(connection, now)?,
        connection,
        prices,
        now,
        notices: Vec::new(),
        ended: Vec::new(),
        left_queue: Vec::new(),
        wanted_logs: Vec::new(),
        found_by_asking: Vec::new(),
        kept_log_bytes: 0,
        has_written: false,
    };
    let outcomes =
        reports.iter().map(|report| recorder.record(report)).collect::<Result<_, _>>()?;
    let Recorder {
        log,
        connection,
        notices,
        ended,
        left_queue,
        wanted_logs,
        found_by_asking,
        kept_log_bytes,
        has_written,
        ..
    } = recorder;
    logs::add_to_sum(connection, kept_log_bytes)?;
    let events = log.finish(connection)?;
    Ok(Recorded {
        outcomes,
        events,
        notices,
        ended,
        left_queue,
        wanted_logs,
        found_by_asking,
        has_written,
    })
}

struct Recorder<'a> {
    connection: &'a mut Connection,
    log: EventAppender,
    prices: &'a Prices,
    now: Timestamp,
    notices: Vec<Notice>,
    ended: Vec<JobId>,
    left_queue: Vec<JobId>,
    wanted_logs: Vec<WantedLog>,
    found_by_asking: Vec<FoundByAsking>,
    /// By how much the kept logs have grown.
    kept_log_bytes: i64,
    has_written: bool,
}

impl Recorder<'_> {
    fn record(&mut self, report: &Report) -> Result<Outcome, StoreError> {
        let whole = &*report.observation.storable();
        let said = &*whole.bounded();
        let known = self.known(&report.subject, said)?;
        let job_id = known
            .as_ref()
            .map_or_else(|| JobId(said.provider_job_id.clone()), |job| job.job_id.clone());
        let had = known.as_ref().map(Job::cut_texts);
        let effect = self.effect_of(report, said, known)?;
        if let Effect::Created(_) | Effect::Changed(_) = effect
            && (!said.cut.is_empty() || had.is_some_and(|had| !had.is_empty()))
        {
            self.keep_texts(&job_id, whole, said)?;
        }
        Ok(Outcome { job_id, effect })
    }

    /// The job that an observation is about, where we know it.
    fn known(&mut self, subject: &Subject, said: &Observation) -> Result<Option<Job>, StoreError> {
        if let Subject::Ours(job_id) = subject {
            // Of a job that a provider has, only the provider says how it ended.
            let job = jobs::find(self.connection, job_id)?;
            return Ok(job.filter(|job| job.provider_job_id.is_none()));
        }
        let known = jobs::find_at_provider(self.connection, &said.provider, &said.provider_job_id)?;
        match subject {
            Subject::Submission(job_id) => self.join(job_id, said, known),
            // The trainer may know its job by our identifier.
            _ if known.is_none() && !said.by_provider => {
                jobs::find(self.connection, &JobId(said.provider_job_id.clone()))
            }
            _ => Ok(known),
        }
    }

    /// A job that was submitted here has changed its state, and its place in the queue changes with it.
    fn follow_in_queue(&mut self, job: &Job) -> Result<(), StoreError> {
        if !job.is_submitted() || job.status.is_active() {
            return Ok(());
        }
        let ended = queue::end(self.connection, job, self.now)?;
        queue::tell(self.connection, &mut self.log, "ended", ended.as_ref())?;
        self.left_queue.extend(ended.map(|_| job.job_id.clone()));
        let error = job.error_message.as_deref().unwrap_or_default();
        if job.status == JobStatus::Failed && is_providers_fault(error) {
            self.try_again(job)?;
        }
        Ok(())
    }

    /// The provider is to blame for a failure: another job is queued that stands for another attempt.
    fn try_again(&mut self, failed: &Job) -> Result<(), StoreError> {
        let Some(job) = queue::try_again(self.connection, failed, self.prices, self.now)? else {
            return Ok(());
        };
        let event = Event::JobDiscovered {
            job_id: &job.job_id,
            status: job.status,
            source: Source::Queue,
            job: JobView::new(&job, self.prices, self.now),
        };
        self.log.append(self.connection, &event)?;
        let moved = Moved::to(&job.job_id, QueueStatus::Pending);
        queue::tell(self.connection, &mut self.log, "retrying", Some(&moved))
    }

    fn effect_of(
        &mut self,
        report: &Report,
        said: &Observation,
        known: Option<Job>,
    ) -> Result<Effect, StoreError> {
        if known.is_none() && !report.creates {
            return Ok(Effect::UnknownJob);
        }
        if let Some(webhook_id) = &report.webhook_id
            && !deliveries::note(self.connection, webhook_id, self.now)?
        {
            return Ok(Effect::Duplicate);
        }
        self.has_written |= report.webhook_id.is_some();
        match known {
            Some(job) => self.change(&job, said),
            None if self.is_known_elsewhere(said)? => Ok(Effect::UnknownJob),
            None => self.create(said),
        }
    }

    /// Whether another provider has a job of the same name: somebody sent a webhook to the wrong one of our
    /// addresses. One job cannot be two, and must not keep the others from being stored.
    fn is_known_elsewhere(&mut self, said: &Observation) -> Result<bool, StoreError> {
        let other = jobs::find(self.connection, &JobId(said.provider_job_id.clone()))?;
        if let Some(other) = &other {
            let (id, provider) = (&other.job_id, &said.provider);
            log::error!("job {id} of {} is also said to be of {provider}", other.provider);
        }
        Ok(other.is_some())
    }

    fn create(&mut self, said: &Observation) -> Result<Effect, StoreError> {
        let unheard_of = Job::unheard_of(&said.provider, &said.provider_job_id, said.observed_at);
        let mut job =
            merge(&unheard_of, said).map_or_else(|| unheard_of.clone(), |change| change.job);
        self.prices.apply(&mut job);
        jobs::insert(self.connection, &job)?;
        self.has_written = true;
        self.keep_log(&job, said)?;
        self.keep_series(&job, said, false)?;
        let event = Event::JobDiscovered {
            job_id: &job.job_id,
            status: job.status,
            source: said.source,
            job: JobView::new(&job, self.prices, self.now),
        };
        self.log.append(self.connection, &event)?;
        self.raise(job.alarms(), &job, said.source)?;
        self.note_end(&job, said, false);
        Ok(Effect::Created(differences(&unheard_of, &job)))
    }

    fn change(&mut self, known: &Job, said: &Observation) -> Result<Effect, StoreError> {
        let said = &*said.placed(known);
        self.keep_log(known, said)?;
        let Some(mut change) = merge(known, said) else { return Ok(Effect::Unchanged) };
        self.prices.apply(&mut change.job);
        // Other prices may be in force than when the job was last priced.
        change.is_visible |= change.job.cost_micro_usd != known.cost_micro_usd
            || change.job.hardware_type != known.hardware_type;
        jobs::update(self.connection, known, &change.job)?;
        self.has_written = true;
        if change.has_new_log {
            self.keep_series(&change.job, said, known.progress.is_some())?;
        }
        self.announce(&change, said)?;
        let differences = differences(known, &change.job);
        Ok(if change.is_visible { Effect::Changed(differences) } else { Effect::Unchanged })
    }

    fn announce(&mut self, change: &Change, said: &Observation) -> Result<(), StoreError> {
        let job = &change.job;
        let (job_id, status, source) = (&job.job_id, job.status, said.source);
        let view = JobView::new(job, self.prices, self.now);
        if change.is_transition() {
            let previous = change.previous;
            let event = Event::JobStatusChanged { job_id, status, previous, source, job: view };
            self.log.append(self.connection, &event)?;
            self.follow_in_queue(job)?;
            self.note_end(job, said, true);
            self.note_found_by_asking(job, said)?;
        } else if change.is_visible && change.alarms.is_empty() {
            let event = Event::JobUpdated { job_id, status, source, job: view };
            self.log.append(self.connection, &event)?;
        }
        self.raise(change.alarms.iter().copied(), job, source)?;
        // The end's own event has the last progress.
        let is_news = change.has_progressed && job.status.is_active();
        if let Some(progress) = job.shown_progress().filter(|_| is_news) {
            let (job_id, progress) = (job.job_id.clone(), Box::new(progress.into_owned()));
            self.notices.push(Notice::JobProgress { job_id, progress });
        }
        Ok(())
    }

    /// Notes a change that a webhook should have told, where one was to.
    fn note_found_by_asking(&mut self, job: &Job, said: &Observation) -> Result<(), StoreError> {
        let is_asked = matches!(said.source, Source::Poll | Source::Sync);
        if is_asked && job.is_submitted() && queue::has_webhook(self.connection, &job.job_id)? {
            self.found_by_asking.push(FoundByAsking {
                provider: job.provider.clone(),
                job_id: job.job_id.clone(),
                happened_at: job.entered_at(job.status),
            });
        }
        Ok(())
    }

    fn raise(
        &mut self,
        alarms: impl Iterator<Item = Alarm>,
        job: &Job,
        source: Source,
    ) -> Result<(), StoreError> {
        for alarm in alarms {
            let view = JobView::new(job, self.prices, self.now);
            let event = alarm_event(alarm, source, &job.job_id, job.status, view);
            self.log.append(self.connection, &event)?;
        }
        Ok(())
    }

    fn keep_series(
        &mut self,
        job: &Job,
        said: &Observation,
        had_log: bool,
    ) -> Result<(), StoreError> {
        match said.progress.as_ref().and_then(|reading| reading.series.as_ref()) {
            Some(series) => job_series::keep(self.connection, &job.job_id, series, had_log),
            None => Ok(()),
        }
    }

    /// Keeps the whole of each text that the job now carries a part of.
    fn keep_texts(
        &mut self,
        job_id: &JobId,
        whole: &Observation,
        said: &Observation,
    ) -> Result<(), StoreError> {
        let job = jobs::get(self.connection, job_id)?;
        for text in JobText::ALL {
            let cut_bytes = job.cut_texts().bytes(text);
            let is_said = said.text(text).is_some() && said.text(text) == job.text(text);
            match whole.text(text) {
                _ if cut_bytes.is_none() => job_texts::forget(self.connection, job_id, text)?,
                Some(whole) if is_said && cut_bytes == said.cut.bytes(text) => {
                    job_texts::keep(self.connection, job_id, text, whole)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A log is kept once its job has ended; before that it still grows, and is asked for.
    fn keep_log(&mut self, job: &Job, said: &Observation) -> Result<(), StoreError> {
        if let Some(log) = said.logs.as_ref().filter(|_| says_end(said)) {
            // A provider's clock that is ahead must not keep a log longer than others.
            let ended_at = said.completed_at.unwrap_or(said.observed_at).min(said.observed_at);
            self.kept_log_bytes += logs::keep(self.connection, &job.job_id, ended_at, log)?;
        }
        Ok(())
    }

    /// Notes that a job has ended, where it has, and that its log is wanted if it did not come along. Of a
    /// job that we learn of only after its end it is not where no provider has logs so old; of one that we
    /// followed, somebody must hear of it.
    fn note_end(&mut self, job: &Job, said: &Observation, was_followed: bool) {
        let Some(ended_at) = job.ended_at() else { return };
        self.ended.push(job.job_id.clone());
        let has_log = said.logs.is_some() && says_end(said);
        let is_recent = self.now - ended_at < logs::PROVIDER_KEEPS;
        let is_wanted = !has_log && (was_followed || is_recent);
        if let Some(provider_job_id) = job.provider_job_id.as_ref().filter(|_| is_wanted) {
            self.wanted_logs.push(WantedLog {
                job_id: job.job_id.clone(),
                provider: job.provider.clone(),
                provider_job_id: provider_job_id.clone(),
                ended_at,
                is_told: false,
                is_removed: said.log_is_removed,
            });
        }
    }
}

fn says_end(said: &Observation) -> bool {
    said.status.is_some_and(JobStatus::is_terminal)
}

fn alarm_event<'a>(
    alarm: Alarm,
    source: Source,
    job_id: &'a JobId,
    status: JobStatus,
    job: JobView<'a>,
) -> Event<'a> {
    match alarm {
        Alarm::Gone { since } => {
            Event::JobGone { job_id, status, source, missing_since: since, job }
        }
        Alarm::Stalled { since } => {
            Event::JobStalled { job_id, status, source, stalled_since: since, job }
        }
        Alarm::LossNotFinite { step } => Event::LossNotFinite { job_id, status, source, step, job },
    }
}

/// The fields in which two states of a job differ, as the contract names them.
fn differences(before: &Job, after: &Job) -> Map<String, Value> {
    let mut differences = Differences::default();
    differences.compare("status", before.status, after.status);
    differences.compare("provider_status", before.provider_word(), after.provider_word());
    differences.compare("stalled_since", before.stalled_since(), after.stalled_since());
    differences.compare("started_at", before.started_at, after.started_at);
    differences.compare("completed_at", before.ended_at(), after.ended_at());
    differences.compare(
        "cost_usd",
        before.cost_micro_usd.map(to_usd),
        after.cost_micro_usd.map(to_usd),
    );
    differences.compare("error_message", &before.error_message, &after.error_message);
    differences.compare("output_url", before.whole_output_url(), after.whole_output_url());
    differences.compare("hardware_type", &before.hardware_type, &after.hardware_type);
    let failure = |job: &Job| job.trainers_failure().map(|told| told.value.clone());
    differences.compare("trainers_failure", failure(before), failure(after));
    differences.0
}

#[derive(Default)]
struct Differences(Map<String, Value>);

impl Differences {
    fn compare<T: PartialEq + Serialize>(&mut self, name: &str, before: T, after: T) {
        if before != after {
            self.0.insert(name.to_owned(), json!(after));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::Role;
    use super::*;
    use crate::config::DatabaseUrl;
    use crate::domain::timestamp::from_micros;

    fn database() -> Connection {
        let memory = DatabaseUrl::Sqlite(":memory:".into());
        let mut connection = Connection::open(&memory, Role::Writer).expect("a database");
        connection.migrate().expect("tables");
        connection
    }

    fn running(job: &str, by_provider: bool) -> Report {
        let silent = Observation::silent("replicate", job, Source::Webhook, from_micros(2));
        let status = Some(JobStatus::Running);
        Report::of_call(Observation { status, by_provider, ..silent }, false)
    }

    fn record_one(connection: &mut Connection, report: Report) -> Recorded {
        record(connection, &[report], &Prices::replicate([]), from_micros(3)).expect("a commit")
    }

    #[test]
    fn what_was_known_is_neither_told_nor_taken_for_a_write() {
        let mut connection = database();
        let webhook = |at| {
            let report = running("job", true);
            let observation = Observation { observed_at: from_micros(at), ..report.observation };
            Report { observation, webhook_id: Some("msg".to_owned()), creates: true, ..report }
        };
        let told = |recorded: &Recorded| (recorded.events.len(), recorded.has_written);
        assert_eq!(told(&record_one(&mut connection, running("unknown", true))), (0, false));
        assert_eq!(told(&record_one(&mut connection, webhook(2))), (1, true));
        // The same message again, and the same state: the first says nothing, the second confirms.
        assert_eq!(told(&record_one(&mut connection, webhook(2))), (0, false));
        assert_eq!(told(&record_one(&mut connection, running("job", true))), (0, false));
        let again = Report { webhook_id: Some("other".to_owned()), ..webhook(2) };
        assert_eq!(told(&record_one(&mut connection, again)), (0, true));
        let later = Report { webhook_id: None, ..webhook(5) };
        assert_eq!(told(&record_one(&mut connection, later)), (0, true));
    }

    #[test]
    fn the_effect_names_what_changed_and_nothing_else() {
        let mut connection = database();
        let discovered = Report { creates: true, ..running("job", true) };
        record_one(&mut connection, discovered);
        let failed = running("job", true);
        let observation = Observation {
            status: Some(JobStatus::Failed),
            error_message: Some("out of memory".to_owned()),
            completed_at: Some(from_micros(4)),
            ..failed.observation
        };
        let recorded = record_one(&mut connection, Report { observation, ..failed });
        let Effect::Changed(changes) = &recorded.outcomes[0].effect else { panic!("{recorded:?}") };
        let expected = json!({
            "status": "failed",
            "error_message": "out of memory",
            "completed_at": from_micros(4),
        });
        assert_eq!(json!(changes), expected);
    }

    #[test]
    fn only_the_trainer_may_call_a_job_by_our_identifier() {
        let mut connection = database();
        let job = Job {
            job_id: JobId("ours".to_owned()),
            ..Job::unheard_of("replicate", "theirs", from_micros(1))
        };
        jobs::insert(&mut connection, &job).expect("a job");
        let mut effect =
            |report: Report| record_one(&mut connection, report).outcomes.remove(0).effect;
        assert_eq!(effect(running("ours", true)), Effect::UnknownJob);
        assert!(matches!(effect(running("ours", false)), Effect::Changed(_)));
        assert_eq!(effect(running("theirs", false)), Effect::Unchanged);
    }
}
