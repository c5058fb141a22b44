//! The auditor: an outsider who knows the provider's true history and reads the daemon's events and
//! jobs. It is written from the contract, and shares nothing with the code that it judges.

use std::collections::BTreeMap;

use jobsyncd::db::connection::Connection;
use jobsyncd::db::{audit, events, jobs};
use jobsyncd::domain::job::{Job, JobStatus};
use jobsyncd::domain::timestamp::{from_micros, to_micros};
use serde::Deserialize;

use crate::provider::{Provider, TrueJob};
use crate::world::{MINUTE, Micros};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    /// Which job, where it is about one.
    pub(crate) job: Option<String>,
    pub(crate) words: String,
}

/// What the auditor has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    /// Whether the daemon's clock is set now and then. Alarms, which go by it, may then be wrong.
    is_clock_set: bool,
    last_seq: i64,
    told: BTreeMap<String, JobStatus>,
    /// How far each job had come by what the daemon acknowledged or stored.
    acknowledged: BTreeMap<String, u8>,
    /// The job that stands for each submission.
    submissions: BTreeMap<usize, String>,
    /// Whether a submission has come to another job than the one that stands for it.
    broken: Option<String>,
    /// How many events were read.
    pub(crate) events: u64,
    /// How many of them told of a state.
    pub(crate) transitions: u64,
}

/// What is true at the end of a run.
#[derive(Debug)]
pub(crate) struct Truth<'a> {
    pub(crate) provider: &'a Provider,
    /// How far the clocks are from the true time.
    pub(crate) provider_skew: Micros,
    pub(crate) daemon_skew: Micros,
    /// When the first of the two last rounds of polling began.
    pub(crate) since: Micros,
    pub(crate) now: Micros,
}

/// An event, as far as the contract promises it.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    seq: i64,
    source: Option<String>,
    job_id: Option<String>,
    status: Option<JobStatus>,
    previous: Option<JobStatus>,
}

fn object<T>(job: Option<&str>, words: impl Into<String>) -> Result<T, Objection> {
    Err(Objection { job: job.map(str::to_owned), words: words.into() })
}

/// How far along its life a job in this state is.
fn stage(status: JobStatus) -> u8 {
    match status {
        JobStatus::Pending | JobStatus::Uploading => 0,
        JobStatus::Queued => 1,
        JobStatus::Running => 2,
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => 3,
    }
}

impl Auditor {
    pub(crate) fn new(is_clock_set: bool) -> Self {
        Self { is_clock_set, ..Self::default() }
    }

    /// Notes that the daemon has taken a fact for good.
    pub(crate) fn acknowledge(&mut self, job: &str, status: JobStatus) {
        let known = self.acknowledged.entry(job.to_owned()).or_default();
        *known = (*known).max(stage(status));
    }

    /// Reads on in the log of events, as a subscriber does that comes back with its last id.
    pub(crate) fn follow(
        &mut self,
        connection: &mut Connection,
        provider: &Provider,
        now: Micros,
    ) -> Result<(), Objection> {
        loop {
            let page = events::after(connection, self.last_seq, 500).expect("events");
            if page.is_empty() {
                return Ok(());
            }
            for event in page {
                self.take(event.seq, &event.json, provider, now)?;
            }
        }
    }

    fn take(
        &mut self,
        seq: i64,
        json: &str,
        provider: &Provider,
        now: Micros,
    ) -> Result<(), Objection> {
        let told: Told = serde_json::from_str(json).expect("an event");
        let (job, kind) = (told.job_id.as_deref(), told.kind.as_str());
        if seq != self.last_seq + 1 || told.seq != seq {
            return object(job, format!("event {seq} follows {}", self.last_seq));
        }
        self.last_seq = seq;
        self.events += 1;
        if kind == "job_deleted" {
            self.told.remove(job.unwrap_or_default());
        }
        let (Some(id), Some(status)) = (job, told.status) else { return Ok(()) };
        let truth = match Self::is_submission(id) {
            true => provider.of_submission(id).next(),
            false => match provider.job(id) {
                None => return object(job, "it was never made"),
                truth => truth,
            },
        };
        // A submission is told of before it begins, and may fail before or without.
        let is_of_queue = Self::is_submission(id)
            && (status == JobStatus::Pending
                || (status == JobStatus::Failed && told.source.as_deref() == Some("queue")));
        let is = truth.map_or(JobStatus::Pending, |truth| truth.status(now));
        let is_true = status == is || (stage(status) < stage(is) && !status.is_terminal());
        let runs_unstarted =
            status == JobStatus::Running && truth.is_none_or(|truth| truth.started_at.is_none());
        if !is_of_queue && (!is_true || runs_unstarted) {
            return object(job, format!("{kind}: it is said to be {status}, and is {is}"));
        }
        let known = self.told.insert(id.to_owned(), status);
        match (kind, known) {
            ("job_discovered", None) => self.transitions += 1,
            ("job_status_changed", Some(known)) => {
                self.transitions += 1;
                if told.previous != Some(known) || stage(status) <= stage(known) {
                    let words = format!("from {:?} to {status}, and was {known}", told.previous);
                    return object(job, words);
                }
            }
            ("job_gone", Some(known)) if known == status => {
                if truth.is_none_or(|truth| truth.is_known(now)) {
                    return object(job, "it is said to be gone, and is there");
                }
            }
            ("job_stalled", Some(known)) if known == status => {
                let hangs = truth.is_some_and(|truth| truth.hangs_at_step.is_some());
                if !hangs && !self.is_clock_set {
                    return object(job, "it is said to be stalled, and never hangs");
                }
            }
            ("job_updated", Some(known)) if known == status => {}
            (kind, known) => return object(job, format!("{kind} {status} after {known:?}")),
        }
        Ok(())
    }

    /// Whether a job's identifier is one that the daemon gave to a submission.
    fn is_submission(id: &str) -> bool {
        id.starts_with("sub")
    }

    /// Notes that a user was told which job stands for what was submitted.
    pub(crate) fn submitted(&mut self, number: usize, job: &str) {
        let known = self.submissions.entry(number).or_insert_with(|| job.to_owned());
        if known != job {
            self.broken = Some(format!("submission {number} is {known}, and is said to be {job}"));
        }
    }

    /// Nothing that was submitted once begins twice.
    pub(crate) fn check_no_doubles(&self, provider: &Provider) -> Result<(), Objection> {
        let newest = provider.jobs.iter().rev().find_map(|job| job.submission.as_deref());
        let Some(newest) = newest else { return Ok(()) };
        let begun = provider.of_submission(newest).count();
        if begun > 1 { object(Some(newest), format!("it began {begun} times")) } else { Ok(()) }
    }

    /// What a daemon that has just come back must still know.
    pub(crate) fn check_acknowledged(&self, provider: &Provider) -> Result<(), Objection> {
        for (id, stage_known) in &self.acknowledged {
            let stage_of = |id: &str| self.told.get(id).map_or(0, |status| stage(*status));
            // It may have turned out to be a submission.
            let submission = provider.job(id).and_then(|job| job.submission.as_deref());
            let told = stage_of(id).max(submission.map_or(0, stage_of));
            if told < *stage_known {
                return object(Some(id), format!("stage {stage_known} was stored, and is {told}"));
            }
        }
        Ok(())
    }

    /// Holds everything that is stored against the truth.
    pub(crate) fn check_everything(
        &self,
        connection: &mut Connection,
        truth: &Truth<'_>,
    ) -> Result<(), Objection> {
        self.check_acknowledged(truth.provider)?;
        if let Some(words) = &self.broken {
            return object(None, words.clone());
        }
        if let Some(lost) = self.submissions.values().find(|job| !self.told.contains_key(*job)) {
            return object(Some(lost), "it was submitted, and nobody tells of it");
        }
        let mut after = None;
        let mut stored = 0;
        loop {
            let page = jobs::after(connection, after.as_ref(), 500).expect("jobs");
            let Some(last) = page.last() else { break };
            after = Some(last.job_id.clone());
            stored += page.len();
            for job in &page {
                if Self::is_submission(&job.job_id.0) {
                    self.check_submission(job, truth)?;
                } else {
                    self.check_job(job, truth)?;
                }
            }
        }
        if stored != self.told.len() {
            return object(None, format!("{stored} jobs stored, {} told", self.told.len()));
        }
        let mut findings = Vec::new();
        audit::audit(connection, from_micros(truth.now), |finding| {
            findings.push(finding.to_string());
        })
        .expect("an audit");
        if findings.is_empty() { Ok(()) } else { object(None, findings.join("; ")) }
    }

    fn check_job(&self, job: &Job, truth: &Truth<'_>) -> Result<(), Objection> {
        let id = Some(job.job_id.0.as_str());
        if self.told.get(&job.job_id.0) != Some(&job.status) {
            return object(id, format!("{} is stored, and was not told", job.status));
        }
        let Some(is) = truth.provider.job(&job.job_id.0) else {
            return object(id, "it was never made");
        };
        if is.is_known(truth.now) {
            check_fields(job, is, truth)
        } else if is.is_known(truth.since) || job.gone_since().is_some() {
            Ok(())
        } else if job.status.is_terminal() && job.confirmed_at.is_some() {
            // Nobody asks for it any more.
            Ok(())
        } else if self.is_clock_set {
            // It may seem to have been there just now until that time has come again.
            Ok(())
        } else {
            object(id, "nobody says that it is gone")
        }
    }

    /// What was submitted has begun and is followed, or has not and says why.
    fn check_submission(&self, job: &Job, truth: &Truth<'_>) -> Result<(), Objection> {
        let id = Some(job.job_id.0.as_str());
        if self.told.get(&job.job_id.0) != Some(&job.status) {
            return object(id, format!("{} is stored, and was not told", job.status));
        }
        let begun = truth.provider.of_submission(&job.job_id.0).next();
        match (begun, job.provider_job_id.as_deref()) {
            (Some(is), Some(attached)) if is.id == attached => check_fields(job, is, truth),
            (_, Some(attached)) => object(id, format!("it is taken for {attached}")),
            (_, None) if job.status == JobStatus::Pending && begun.is_none() => Ok(()),
            (_, None) if job.status != JobStatus::Failed || job.error_message.is_none() => {
                object(id, format!("it is {}, and nobody says why", job.status))
            }
            (None, None) => Ok(()),
            // Nobody could tell that this is it, so it is followed by itself.
            (Some(is), None) if self.told.contains_key(&is.id) => Ok(()),
            (Some(is), None) => object(id, format!("{} runs unseen", is.id)),
        }
    }

    /// How many submissions failed although they had begun: nobody could tell.
    pub(crate) fn undecided(&self, provider: &Provider) -> u64 {
        let failed = |job: &&String| self.told.get(*job) == Some(&JobStatus::Failed);
        let jobs = self.submissions.values().filter(failed);
        jobs.filter(|job| {
            provider.of_submission(job).next().is_some_and(|is| self.told.contains_key(&is.id))
        })
        .count() as u64
    }

    /// The least time between the two rounds after which everything must be right.
    pub(crate) const BETWEEN_ROUNDS: Micros = 11 * MINUTE;
}

/// Holds a job against what the provider would say of it now.
fn check_fields(job: &Job, is: &TrueJob, truth: &Truth<'_>) -> Result<(), Objection> {
    let id = Some(job.job_id.0.as_str());
    let status = is.status(truth.now);
    if job.status != status {
        return object(id, format!("{} is stored, and it is {status}", job.status));
    }
    let since = truth.since + truth.daemon_skew;
    let confirmed_at = job.confirmed_at.map(to_micros);
    if confirmed_at.is_none_or(|at| at < since && status.is_active()) {
        return object(id, format!("confirmed at {confirmed_at:?}, not since {since}"));
    }
    let times = [
        ("created_at", job.provider_created_at, Some(is.created_at)),
        ("started_at", job.started_at, is.started_at),
        ("completed_at", job.completed_at, is.ended_at),
    ];
    for (name, stored, moment) in times {
        let moment = moment.filter(|moment| *moment <= truth.now);
        if stored.map(to_micros) != moment.map(|moment| moment + truth.provider_skew) {
            return object(id, format!("{name} is stored as {stored:?}"));
        }
    }
    if status.is_active() {
        return Ok(());
    }
    let said = (&job.error_message, &job.output_url, job.provider_status.as_deref());
    if said != (&is.error(), &is.output(), Some(is.end.word())) {
        return object(id, format!("the end is stored as {said:?}"));
    }
    // Seconds on the wire have fewer digits.
    let billed = job.predict_time_micros.unwrap_or(0);
    if billed.abs_diff(is.predict_time().unwrap_or(0)) > 1 {
        return object(id, format!("billed are {billed} µs"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! An auditor who never objects would be worth nothing.

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use rstest::rstest;

    use super::*;
    use crate::provider::End;
    use crate::world::HOUR;

    /// One job, which runs from the first hour on and ends well in the second.
    fn provider() -> Provider {
        let random = TrueJob::random(0, 0, &mut StdRng::seed_from_u64(0));
        let job = TrueJob {
            started_at: Some(HOUR),
            ended_at: Some(2 * HOUR),
            end: End::Succeeded,
            forgotten_at: None,
            hangs_at_step: None,
            ..random
        };
        Provider { jobs: vec![job] }
    }

    fn event(seq: i64, kind: &str, status: &str, previous: Option<&str>) -> (i64, String) {
        let previous = previous.map_or(String::new(), |word| format!(r#","previous":"{word}""#));
        let json = format!(
            r#"{{"type":"{kind}","seq":{seq},"job_id":"job00000","status":"{status}"{previous}}}"#
        );
        (seq, json)
    }

    fn judge(events: &[(i64, String)], now: Micros) -> Result<Auditor, Objection> {
        let mut auditor = Auditor::default();
        for (seq, json) in events {
            auditor.take(*seq, json, &provider(), now)?;
        }
        Ok(auditor)
    }

    fn life() -> Vec<(i64, String)> {
        vec![
            event(1, "job_discovered", "queued", None),
            event(2, "job_status_changed", "running", Some("queued")),
            event(3, "job_status_changed", "completed", Some("running")),
        ]
    }

    #[test]
    fn a_true_life_is_not_objected_to() {
        let auditor = judge(&life(), 3 * HOUR).expect("no objection");
        assert_eq!((auditor.events, auditor.transitions), (3, 3));
    }

    #[rstest]
    #[case::an_end_that_has_not_come(life(), HOUR, "is said to be completed, and is running")]
    #[case::another_end(
        vec![event(1, "job_discovered", "failed", None)], 3 * HOUR, "is said to be failed"
    )]
    #[case::a_start_that_has_not_come(life(), 0, "is said to be running, and is queued")]
    #[case::a_job_that_reopens(
        [life(), vec![event(4, "job_status_changed", "running", Some("completed"))]].concat(),
        3 * HOUR,
        "to running, and was completed"
    )]
    #[case::a_change_told_twice(
        [life(), vec![event(4, "job_status_changed", "completed", Some("running"))]].concat(),
        3 * HOUR,
        "to completed, and was completed"
    )]
    #[case::a_hole(vec![life().remove(0), life().remove(2)], 3 * HOUR, "event 3 follows 1")]
    #[case::a_number_used_twice(
        vec![life().remove(0), life().remove(0)], 3 * HOUR, "event 1 follows 1"
    )]
    #[case::a_job_found_twice(
        vec![life().remove(0), event(2, "job_discovered", "queued", None)], 3 * HOUR, "after Some"
    )]
    #[case::a_job_that_is_there(
        vec![life().remove(0), event(2, "job_gone", "queued", None)], 3 * HOUR, "and is there"
    )]
    #[case::a_job_that_nobody_made(
        vec![(1, life()[0].1.replace("job00000", "job00001"))], 3 * HOUR, "never made"
    )]
    fn a_lie_is_objected_to(
        #[case] events: Vec<(i64, String)>,
        #[case] now: Micros,
        #[case] words: &str,
    ) {
        let objection = judge(&events, now).expect_err("a lie");
        assert!(objection.words.contains(words), "{objection:?}");
    }

    #[test]
    fn a_fact_that_was_taken_and_is_forgotten_is_objected_to() {
        let mut auditor = judge(&life()[..2], 3 * HOUR).expect("no objection");
        assert_eq!(auditor.check_acknowledged(&provider()), Ok(()));
        auditor.acknowledge("job00000", JobStatus::Completed);
        assert!(auditor.check_acknowledged(&provider()).is_err());
    }
}
