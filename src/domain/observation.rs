//! What a source said about a job, and how that is merged into what is known.
//!
//! Webhooks, polling and syncs all end in an [`Observation`], and [`merge`] is the only way by
//! which an observation changes a job. Its laws (`design.md`, "The merge"):
//!
//! - idempotent: the same observation again changes nothing;
//! - order-free: any order and duplication of the same observations ends in the same job;
//! - monotone: a status never goes back, a finished job never reopens, no value becomes null;
//! - honest: no answer is not an observation, so silence changes nothing.
//!
//! They hold because every field is a register of which the greatest entry stays. Fields that
//! cannot be disputed keep the least or the greatest value itself; the others keep the value of
//! the weightiest observation that had one, and [`Provenance`] remembers that weight.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::job::{Job, JobStatus};
use super::job_texts::{
    CutTexts, ERROR_BYTES_MAX, JobText, MODEL_BYTES_MAX, RUN_NAME_BYTES_MAX, STATUS_BYTES_MAX,
    VERSION_BYTES_MAX, WEB_URL_BYTES_MAX, bounded_name, json_bytes, shortened,
};
use super::liveness::Alarm;
use super::packed_log::PackedLog;
use super::progress::{PackedSeries, Progress};
use super::timestamp::{Timestamp, to_micros};
use super::trainers_word::TrainersWord;

/// The way by which we learnt something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A webhook told us.
    Webhook,
    /// We asked about jobs that we know.
    Poll,
    /// We read the provider's list.
    Sync,
    /// A user of ours did it.
    User,
    /// Our queue did it.
    Queue,
}

/// Progress as it was read from a log, and how much log that was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProgressReading {
    /// What the log says.
    pub progress: Progress,
    /// The length of the log, in bytes, without blanks at its end: archived logs lose those. A log only
    /// grows, so of one generation the longest is the newest.
    pub log_bytes: u64,
    /// How often the log had been rewritten, as far as we noticed ([`Observation::placed`]).
    pub generation: u32,
    /// When we asked for it; None where it was sent to us, perhaps long after it was so.
    pub asked_at: Option<Timestamp>,
    /// It does not go on from the one that was read before.
    pub is_rewritten: bool,
    /// The curves, where there are any.
    pub series: Option<PackedSeries>,
}

/// Which log a reading is of, and how much of it. Ordered: the greater one is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogMark {
    /// How often it had been rewritten.
    pub generation: u32,
    /// Its length, in bytes.
    pub log_bytes: u64,
}

/// Everything that one source said about one job at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The provider's name.
    pub provider: String,
    /// The provider's identifier of the job.
    pub provider_job_id: String,
    /// How we learnt it.
    pub source: Source,
    /// When we learnt it, by our clock.
    pub observed_at: Timestamp,
    /// Whether the provider itself speaks. What the trainer inside the job says is believed, but
    /// it confirms nothing: the provider may still see the job end otherwise.
    pub by_provider: bool,
    /// Since when the provider has not known the job, where that is what it answered. It then says
    /// nothing else, and nothing about the job's state.
    pub missing_since: Option<Timestamp>,
    /// The state; None where the source used a word that we do not know, or none.
    pub status: Option<JobStatus>,
    /// The provider's own word for the state.
    pub provider_status: Option<String>,
    /// When the provider created the job.
    pub created_at: Option<Timestamp>,
    /// When the job started.
    pub started_at: Option<Timestamp>,
    /// When the job ended.
    pub completed_at: Option<Timestamp>,
    /// How long the job was computing, in microseconds.
    pub predict_time_micros: Option<i64>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// Where the result is.
    pub output_url: Option<String>,
    /// The provider's name of what runs.
    pub model: Option<String>,
    /// The version of what runs.
    pub version: Option<String>,
    /// The page about the job on the provider's site.
    pub web_url: Option<String>,
    /// What the run is called in its inputs.
    pub run_name: Option<String>,
    /// The progress, where the source carried a log.
    pub progress: Option<ProgressReading>,
    /// The log itself, where the source carried one. It is stored, not merged.
    pub logs: Option<PackedLog>,
    /// How long the texts were of which it has only a part ([`Observation::bounded`]).
    pub cut: CutTexts,
    /// The provider says that it has deleted the log. It is not merged: it saves asking.
    pub log_is_removed: bool,
    /// What the trainer tells of its run, where it speaks.
    pub trainer: Option<Box<TrainersWord>>,
}

impl Observation {
    /// An observation that says nothing yet.
    pub fn silent(
        provider: &str,
        provider_job_id: &str,
        source: Source,
        observed_at: Timestamp,
    ) -> Self {
        Self {
            provider: provider.to_owned(),
            provider_job_id: provider_job_id.to_owned(),
            source,
            observed_at,
            by_provider: true,
            missing_since: None,
            status: None,
            provider_status: None,
            created_at: None,
            started_at: None,
            completed_at: None,
            predict_time_micros: None,
            error_message: None,
            output_url: None,
            model: None,
            version: None,
            web_url: None,
            run_name: None,
            progress: None,
            logs: None,
            cut: CutTexts::default(),
            log_is_removed: false,
            trainer: None,
        }
    }

    /// The provider does not know the job; `since` says when it first did not, where it did not know
    /// it the last time either.
    pub fn missing(
        provider: &str,
        provider_job_id: &str,
        observed_at: Timestamp,
        since: Option<Timestamp>,
    ) -> Self {
        Self {
            missing_since: Some(since.unwrap_or(observed_at)),
            ..Self::silent(provider, provider_job_id, Source::Poll, observed_at)
        }
    }

    /// The same, with every NUL in its texts replaced: PostgreSQL stores none, and one strange text
    /// must not keep everything that is stored together with it from being stored.
    pub fn storable(&self) -> Cow<'_, Self> {
        let optional = [
            &self.provider_status,
            &self.error_message,
            &self.output_url,
            &self.model,
            &self.version,
            &self.web_url,
            &self.run_name,
        ];
        let failure = self.trainer.as_ref().and_then(|word| word.failure.as_ref());
        let failure = failure.map(|told| &told.value);
        let optional = optional.into_iter().flatten().chain(failure);
        let mut texts = optional.chain([&self.provider_job_id]);
        if !texts.any(|text| text.contains('\0')) {
            return Cow::Borrowed(self);
        }
        let clean = |text: &String| text.replace('\0', "\u{fffd}");
        let mut trainer = self.trainer.clone();
        if let Some(failure) = trainer.as_mut().and_then(|word| word.failure.as_mut()) {
            failure.value = clean(&failure.value);
        }
        Cow::Owned(Self {
            trainer,
            provider_job_id: clean(&self.provider_job_id),
            provider_status: self.provider_status.as_ref().map(clean),
            error_message: self.error_message.as_ref().map(clean),
            output_url: self.output_url.as_ref().map(clean),
            model: self.model.as_ref().map(clean),
            version: self.version.as_ref().map(clean),
            web_url: self.web_url.as_ref().map(clean),
            run_name: self.run_name.as_ref().map(clean),
            ..self.clone()
        })
    }

    /// The same, with as much of its texts as a job carries.
    pub fn bounded(&self) -> Cow<'_, Self> {
        let cut = |text: JobText, whole: &Option<String>| text.bounded(whole.as_deref()?);
        let error_message = cut(JobText::ErrorMessage, &self.error_message);
        let output_url = cut(JobText::OutputUrl, &self.output_url);
        let is_long = |name: &Option<String>, bytes_max| {
            name.as_deref().is_some_and(|name| json_bytes(name) > bytes_max)
        };
        let has_long_name = is_long(&self.model, MODEL_BYTES_MAX)
            || is_long(&self.version, VERSION_BYTES_MAX)
            || is_long(&self.provider_status, STATUS_BYTES_MAX)
            || is_long(&self.run_name, RUN_NAME_BYTES_MAX)
            || is_long(&self.web_url, WEB_URL_BYTES_MAX);
        let failure = self.trainer.as_ref().and_then(|word| word.failure.as_ref());
        let failure = failure.and_then(|told| shortened(&told.value, ERROR_BYTES_MAX));
        if error_message.is_none() && output_url.is_none() && !has_long_name && failure.is_none() {
            return Cow::Borrowed(self);
        }
        let name = |name: &Option<String>, bytes_max| {
            name.as_deref().map(|name| bounded_name(name, bytes_max).into_owned())
        };
        let bytes = |cut: &Option<String>, whole: &Option<String>| {
            whole.as_ref().filter(|_| cut.is_some()).map(|whole| whole.len() as u64)
        };
        let mut trainer = self.trainer.clone();
        if let (Some(shorter), Some(told)) =
            (failure, trainer.as_mut().and_then(|word| word.failure.as_mut()))
        {
            told.value = shorter;
        }
        Cow::Owned(Self {
            trainer,
            cut: CutTexts {
                error_message: bytes(&error_message, &self.error_message),
                output_url: bytes(&output_url, &self.output_url),
            },
            error_message: error_message.or_else(|| self.error_message.clone()),
            output_url: output_url.or_else(|| self.output_url.clone()),
            model: name(&self.model, MODEL_BYTES_MAX),
            version: name(&self.version, VERSION_BYTES_MAX),
            provider_status: name(&self.provider_status, STATUS_BYTES_MAX),
            run_name: name(&self.run_name, RUN_NAME_BYTES_MAX),
            web_url: self.web_url.clone().filter(|url| json_bytes(url) <= WEB_URL_BYTES_MAX),
            ..self.clone()
        })
    }

    /// The text that this says of the job.
    pub fn text(&self, text: JobText) -> Option<&str> {
        match text {
            JobText::ErrorMessage => self.error_message.as_deref(),
            JobText::OutputUrl => self.output_url.as_deref(),
        }
    }

    /// The same, with its reading as one of the log that `job` has now, or of one that replaced it: one
    /// that does not go on from what was read before, or that was shorter when we asked after we had
    /// seen it longer.
    ///
    /// This depends on what is known, so it is decided once, when the observation comes in; in which
    /// order observations are merged after that does not matter.
    pub fn placed(&self, job: &Job) -> Cow<'_, Self> {
        let (Some(reading), Some(known)) = (&self.progress, job.provenance.log) else {
            return Cow::Borrowed(self);
        };
        let is_shorter = reading.log_bytes < known.log_bytes;
        let is_asked_later = reading.asked_at > job.liveness.read_at();
        let is_other = reading.is_rewritten || (is_shorter && is_asked_later);
        let generation = known.generation.saturating_add(u32::from(is_other));
        if generation == reading.generation {
            return Cow::Borrowed(self);
        }
        let progress = Some(ProgressReading { generation, ..reading.clone() });
        Cow::Owned(Self { progress, ..self.clone() })
    }

    /// How much this observation weighs against others. An unknown word is more than queued and
    /// less than an end: something is going on.
    fn weight(&self) -> Weight {
        Weight::of(self.status.unwrap_or(JobStatus::Running), self.completed_at)
    }
}

/// How much an observation weighs: later states more than earlier ones, and among ends the one
/// that happened first, by the provider's clock, then a fixed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Weight {
    rank: u8,
    ended_first: Reverse<i64>,
    tie: u8,
}

impl Weight {
    fn of(status: JobStatus, completed_at: Option<Timestamp>) -> Self {
        let ended_at = completed_at.filter(|_| status.is_terminal());
        Self {
            rank: status.rank(),
            ended_first: Reverse(ended_at.map_or(i64::MAX, to_micros)),
            tie: match status {
                JobStatus::Pending
                | JobStatus::Uploading
                | JobStatus::Queued
                | JobStatus::Running => 0,
                JobStatus::Cancelled => 1,
                JobStatus::Failed => 2,
                JobStatus::Completed => 3,
            },
        }
    }
}

/// From which observations the disputable values of a job are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Provenance {
    error_message: Option<Weight>,
    output_url: Option<Weight>,
    predict_time: Option<Weight>,
    /// The provider's word is also ordered by when it was said: among words of one weight the
    /// last one is shown.
    provider_status: Option<(Weight, i64)>,
    /// Which log the progress was read from.
    pub(super) log: Option<LogMark>,
    /// How the provider last confirmed the present state; None where it did not.
    #[serde(default)]
    pub(super) confirmed_by: Option<Source>,
    /// How long the texts are of which the job carries a part.
    #[serde(default, skip_serializing_if = "CutTexts::is_empty")]
    pub(super) cut: CutTexts,
    /// What the trainer told of its run, where it told anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trainer: Option<Box<TrainersWord>>,
}

/// What an observation changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The job as it is now.
    pub job: Job,
    /// The state that it had before.
    pub previous: JobStatus,
    /// Whether anything changed that a reader of the job sees, besides the time of the last
    /// confirmation and the progress.
    pub is_visible: bool,
    /// Whether the progress changed.
    pub has_progressed: bool,
    /// The alarms that the job was not in before.
    pub alarms: Vec<Alarm>,
    /// The progress is now that of a log that was not read so far.
    pub has_new_log: bool,
}

impl Change {
    /// Whether the state changed.
    pub fn is_transition(&self) -> bool {
        self.previous != self.job.status
    }
}

/// Merges what was observed into what is known. None where nothing changed.
pub fn merge(job: &Job, observation: &Observation) -> Option<Change> {
    let mut merged = job.clone();
    merge_state(&mut merged, observation);
    merge_values(&mut merged, observation);
    merge_progress(&mut merged, observation);
    if let Some(said) = observation.trainer.as_ref().filter(|said| !said.is_silent()) {
        merged.provenance.trainer.get_or_insert_default().take(said);
    }
    merged.liveness.take(observation);
    if merged == *job {
        return None;
    }
    let has_progressed = merged.shown_progress() != job.shown_progress();
    let as_seen_before = Job {
        confirmed_at: job.confirmed_at,
        status_since: job.status_since,
        first_seen_at: job.first_seen_at,
        progress: job.progress.clone(),
        provenance: job.provenance.clone(),
        liveness: job.liveness,
        ..merged.clone()
    };
    Some(Change {
        is_visible: as_seen_before != *job
            || !merged.alarms().eq(job.alarms())
            || merged.trainers_failure() != job.trainers_failure(),
        alarms: new_alarms(job, &merged),
        previous: job.status,
        has_progressed,
        has_new_log: merged.provenance.log != job.provenance.log,
        job: merged,
    })
}

/// An alarm goes on for as long as it lasts, even where we learn that it began at another time.
fn new_alarms(before: &Job, after: &Job) -> Vec<Alarm> {
    let was_on = |alarm: &Alarm| match alarm {
        Alarm::Gone { .. } => before.gone_since().is_some(),
        Alarm::Stalled { .. } => before.stalled_since().is_some(),
        Alarm::LossNotFinite { .. } => before.liveness.loss_not_finite_step().is_some(),
    };
    after.alarms().filter(|alarm| !was_on(alarm)).collect()
}

/// The state, when it was first and last reported, and the end's time.
fn merge_state(job: &mut Job, observation: &Observation) {
    let Some(status) = observation.status else { return };
    let known = Weight::of(job.status, job.completed_at);
    let said = observation.weight();
    let confirmation =
        observation.by_provider.then_some((observation.observed_at, observation.source));
    let (confirmed_at, confirmed_by) = confirmation.unzip();
    if said > known {
        job.status = status;
        job.completed_at = observation.completed_at.filter(|_| status.is_terminal());
        job.status_since = Some(observation.observed_at);
        (job.confirmed_at, job.provenance.confirmed_by) = (confirmed_at, confirmed_by);
    } else if said == known {
        job.status_since = least(job.status_since, Some(observation.observed_at));
        let known = (job.confirmed_at, job.provenance.confirmed_by);
        (job.confirmed_at, job.provenance.confirmed_by) = known.max((confirmed_at, confirmed_by));
    }
}

/// Every other value that the job has of its provider.
fn merge_values(job: &mut Job, observation: &Observation) {
    let is_ours = job.is_submitted();
    job.first_seen_at = job.first_seen_at.min(observation.observed_at);
    job.provider_created_at = least(job.provider_created_at, observation.created_at);
    job.created_at = job.provider_created_at.unwrap_or(job.first_seen_at);
    job.started_at = least(job.started_at, observation.started_at);
    keep_least(&mut job.model, &observation.model);
    keep_least(&mut job.version, &observation.version);
    keep_least(&mut job.web_url, &observation.web_url);
    // What our own users called theirs stays.
    for name in [&mut job.config_name, &mut job.run_name] {
        if !is_ours || name.is_none() {
            keep_least(name, &observation.run_name);
        }
    }

    let weight = observation.weight();
    let from = &mut job.provenance;
    keep_weightiest_text(
        (&mut job.error_message, &mut from.cut.error_message),
        &mut from.error_message,
        (&observation.error_message, observation.cut.error_message),
        weight,
    );
    keep_weightiest_text(
        (&mut job.output_url, &mut from.cut.output_url),
        &mut from.output_url,
        (&observation.output_url, observation.cut.output_url),
        weight,
    );
    keep_weightiest(
        &mut job.predict_time_micros,
        &mut from.predict_time,
        &observation.predict_time_micros,
        weight,
    );
    keep_weightiest(
        &mut job.provider_status,
        &mut from.provider_status,
        &observation.provider_status,
        (weight, to_micros(observation.observed_at)),
    );
}

/// The progress: the one that was read from the longest log of the last generation.
fn merge_progress(job: &mut Job, observation: &Observation) {
    let Some(reading) = &observation.progress else { return };
    let ProgressReading { generation, log_bytes, .. } = *reading;
    let said = Some(LogMark { generation, log_bytes });
    let is_newer = said > job.provenance.log
        || (said == job.provenance.log
            && Some(in_order(&reading.progress)) > job.progress.as_ref().map(in_order));
    if is_newer {
        job.progress = Some(reading.progress.clone());
        job.provenance.log = said;
    }
}

/// Any fixed order serves to choose between two readings of logs of the same length.
fn in_order(progress: &Progress) -> String {
    serde_json::to_string(progress).unwrap_or_default()
}

/// The lesser of two values where there are two.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// For values on which sources agree. Were they ever not to, the least one would stay, whatever
/// the order in which they came.
fn keep_least(known: &mut Option<String>, said: &Option<String>) {
    *known = least(known.take(), said.clone());
}

/// For values on which sources may disagree: the one of the weightiest observation stays, and of
/// two that weigh the same the greater.
fn keep_weightiest<T: Ord + Clone, W: Ord + Copy>(
    known: &mut Option<T>,
    known_weight: &mut Option<W>,
    said: &Option<T>,
    weight: W,
) {
    if said.is_some() {
        let said = (Some(weight), said.clone());
        (*known_weight, *known) = said.max((*known_weight, known.take()));
    }
}

/// The same for a text and how long it is where it was cut, which belong together.
fn keep_weightiest_text(
    (known, known_bytes): (&mut Option<String>, &mut Option<u64>),
    known_weight: &mut Option<Weight>,
    (said, said_bytes): (&Option<String>, Option<u64>),
    weight: Weight,
) {
    let mut both = known.take().map(|text| (text, *known_bytes));
    let said = said.clone().map(|text| (text, said_bytes));
    keep_weightiest(&mut both, known_weight, &said, weight);
    let (text, bytes) = both.unzip();
    (*known, *known_bytes) = (text, bytes.flatten());
}

#[cfg(test)]
mod tests {
    use super::super::timestamp::from_micros;
    use super::*;

    fn silent(at: i64) -> Observation {
        Observation::silent("replicate", "p1", Source::Poll, from_micros(at))
    }

    fn running(at: i64) -> Observation {
        let status = Some(JobStatus::Running);
        Observation { status, created_at: Some(from_micros(1)), ..silent(at) }
    }

    fn with_log(log_bytes: u64, step: u64) -> Observation {
        let progress = Progress { step: Some(step), ..Progress::default() };
        Observation {
            progress: Some(ProgressReading { progress, log_bytes, ..ProgressReading::default() }),
            ..running(100)
        }
    }

    fn told(observations: &[Observation]) -> Job {
        let unheard_of = Job::unheard_of("replicate", "p1", from_micros(1_000));
        observations.iter().fold(unheard_of, |job, said| merge(&job, said).map_or(job, |c| c.job))
    }

    fn change(before: &[Observation], said: &Observation) -> Change {
        merge(&told(before), said).expect("it says something new")
    }

    /// A log of so many bytes that we asked for, or that was sent to us.
    fn seen(log_bytes: u64, at: i64, asked_at: Option<i64>) -> Observation {
        let mut seen =
            Observation { observed_at: from_micros(at), ..with_log(log_bytes, log_bytes) };
        seen.progress.as_mut().expect("a log").asked_at = asked_at.map(from_micros);
        seen
    }

    /// The step and the generation after these have come in one after the other.
    fn read(observations: &[Observation]) -> (Option<u64>, Option<u32>) {
        let unheard_of = Job::unheard_of("replicate", "p1", from_micros(1_000));
        let job = observations.iter().fold(unheard_of, |job, said| {
            let placed = said.placed(&job);
            merge(&job, &placed).map_or_else(|| job.clone(), |change| change.job)
        });
        let step = job.progress.and_then(|progress| progress.step);
        (step, job.provenance.log.map(|log| log.generation))
    }

    #[test]
    fn a_log_that_is_shorter_when_we_ask_again_was_rewritten() {
        let long = seen(90, 100, Some(99));
        assert_eq!(read(&[long.clone(), seen(20, 201, Some(200))]), (Some(20), Some(1)));
        let grown = seen(30, 301, Some(300));
        assert_eq!(read(&[long, seen(20, 201, Some(200)), grown]), (Some(30), Some(1)));
    }

    #[test]
    fn the_same_log_again_is_no_other_one() {
        let again = [seen(90, 100, Some(99)), seen(90, 201, Some(200)), seen(90, 301, Some(300))];
        assert_eq!(read(&again), (Some(90), Some(0)));
        assert!(change(&[], &again[0]).has_new_log);
        assert!(!change(&[again[0].clone()], &again[1]).has_new_log);
    }

    #[test]
    fn a_shorter_log_that_was_sent_or_asked_for_before_only_came_late() {
        let long = seen(90, 100, Some(99));
        assert_eq!(read(&[long.clone(), seen(20, 201, None)]), (Some(90), Some(0)));
        assert_eq!(read(&[long.clone(), seen(20, 201, Some(98))]), (Some(90), Some(0)));
        assert_eq!(read(&[long, seen(20, 201, Some(100))]), (Some(90), Some(0)));
    }

    #[test]
    fn a_log_that_does_not_go_on_is_another_one_however_long() {
        for log_bytes in [20, 90, 200] {
            let mut other = seen(log_bytes, 201, None);
            other.progress.as_mut().expect("a log").is_rewritten = true;
            let late = seen(91, 300, None);
            let step = Some(log_bytes.max(91));
            assert_eq!(read(&[seen(90, 100, Some(99)), other.clone(), late]), (step, Some(1)));
            assert_eq!(read(&[other]), (Some(log_bytes), Some(0)), "the first is no other");
        }
    }

    #[test]
    fn a_first_state_is_a_transition_and_the_same_again_is_none() {
        assert!(change(&[], &running(100)).is_transition());
        assert!(!change(&[running(100)], &running(200)).is_transition());
    }

    #[test]
    fn what_no_reader_of_a_job_sees_is_not_told() {
        let trainer = |at| Observation { by_provider: false, ..silent(at) };
        let unseen = [
            // The last confirmation, and when the state was first heard of.
            (running(100), running(200)),
            (running(100), Observation { by_provider: false, ..running(50) }),
            // When the job itself was.
            (running(100), trainer(50)),
            // More log that says the same, and a provider that does not know the job just once.
            (with_log(10, 1), with_log(20, 1)),
            (running(100), Observation::missing("replicate", "p1", from_micros(200), None)),
        ];
        for (before, said) in unseen {
            let change = change(&[before], &said);
            assert!(!change.is_visible && !change.has_progressed, "{change:#?}");
        }
    }

    #[test]
    fn progress_is_told_by_itself() {
        let change = change(&[with_log(10, 1)], &with_log(20, 2));
        assert!(change.has_progressed && !change.is_visible);
    }

    #[test]
    fn of_two_readings_of_logs_of_the_same_length_the_greater_stays() {
        for steps in [[1, 2], [2, 1]] {
            let progress = told(&steps.map(|step| with_log(10, step))).progress.expect("a log");
            assert_eq!(progress.step, Some(2));
        }
    }

    #[test]
    fn of_several_names_of_what_runs_the_least_stays() {
        let named = |model: &str| Observation { model: Some(model.to_owned()), ..silent(1) };
        for models in [["a", "b"], ["b", "a"]] {
            assert_eq!(told(&models.map(named)).model.as_deref(), Some("a"));
        }
    }

    #[test]
    fn no_text_that_is_stored_holds_a_nul() {
        let text = || Some("a\0b".to_owned());
        let said = Observation {
            provider_job_id: "a\0b".to_owned(),
            provider_status: text(),
            error_message: text(),
            output_url: text(),
            model: text(),
            version: text(),
            web_url: text(),
            run_name: text(),
            ..silent(1)
        };
        let stored = format!("{:?}", said.storable());
        assert_eq!((stored.matches("a\u{fffd}b").count(), stored.matches("\\0").count()), (8, 0));
        assert!(matches!(silent(1).storable(), Cow::Borrowed(_)), "most hold none");
    }
}
