//! The provider's truth: jobs with their whole lives, and what the provider says about them at any
//! moment.

use std::fmt::Write as _;

use jobsyncd::domain::job::JobStatus;
use jobsyncd::domain::timestamp::from_micros;
use rand::Rng as _;
use rand::rngs::StdRng;

use crate::world::{HOUR, MINUTE, Micros, SECOND};

/// A job as it really is. Its whole life is fixed when it is made.
#[derive(Debug, Clone)]
pub(crate) struct TrueJob {
    pub(crate) id: String,
    pub(crate) created_at: Micros,
    pub(crate) started_at: Option<Micros>,
    pub(crate) ended_at: Option<Micros>,
    pub(crate) end: End,
    /// From then on the provider does not know it any more.
    pub(crate) forgotten_at: Option<Micros>,
    /// The last step that it takes, after which it hangs.
    pub(crate) hangs_at_step: Option<i64>,
    /// What it was given, as JSON.
    pub(crate) input: String,
    /// Further fields, as programs outside send them: nobody reads them, and not all are JSON to the letter.
    pub(crate) strange_fields: &'static str,
    /// Of which submission of the daemon's it is.
    pub(crate) submission: Option<String>,
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Succeeded,
    Failed,
    Canceled,
    Aborted,
}

impl End {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Aborted => "aborted",
        }
    }

    pub(crate) fn status(self) -> JobStatus {
        match self {
            Self::Succeeded => JobStatus::Completed,
            Self::Failed => JobStatus::Failed,
            Self::Canceled | Self::Aborted => JobStatus::Cancelled,
        }
    }
}

/// How long a step of a training takes.
const STEP: Micros = 20 * SECOND;
/// How many steps a training has.
const STEPS: i64 = 1_000;
/// What stands beside the fields that are read.
const STRANGE_FIELDS: [&str; 4] =
    ["", r#","source":"\ud83d""#, r#","weight":NaN"#, r#","version":["hidden"],"urls":7"#];
/// Right after a job was made the provider may not know it yet.
const UNKNOWN_FOR: Micros = 2 * SECOND;

/// How many different inputs are submitted through the daemon.
pub(crate) const INPUTS: u32 = 40;

/// What a job is given. There are not many different things, so that it alone does not always tell jobs
/// apart.
pub(crate) fn input(number: u32) -> String {
    format!(r#"{{"run":"run {number}","steps":{STEPS}}}"#)
}

impl TrueJob {
    pub(crate) fn random(number: usize, created_at: Micros, random: &mut StdRng) -> Self {
        let end = match random.random_range(0..10) {
            0..5 => End::Succeeded,
            5..7 => End::Failed,
            7..9 => End::Canceled,
            _ => End::Aborted,
        };
        let waited = random.random_range(0..10 * MINUTE);
        let ran = random.random_range(SECOND..3 * HOUR);
        // What is canceled or fails may never have started; what is aborted never has.
        let starts = match end {
            End::Succeeded => true,
            End::Failed | End::Canceled => random.random_bool(0.8),
            End::Aborted => false,
        };
        let started_at = starts.then_some(created_at + waited);
        let ended_at = started_at.map_or(created_at + waited, |started_at| started_at + ran);
        Self {
            id: format!("job{number:05}"),
            created_at,
            started_at,
            // A few run for longer than the world lasts.
            ended_at: random.random_bool(0.97).then_some(ended_at),
            end,
            forgotten_at: random.random_bool(0.01).then(|| created_at + ran),
            hangs_at_step: random.random_bool(0.05).then(|| random.random_range(1..50)),
            input: input(random.random_range(INPUTS..2 * INPUTS)),
            strange_fields: STRANGE_FIELDS[random.random_range(0..STRANGE_FIELDS.len())],
            submission: None,
        }
    }

    /// The state at a moment, in the words of the contract.
    pub(crate) fn status(&self, at: Micros) -> JobStatus {
        if self.ended_at.is_some_and(|ended_at| ended_at <= at) {
            self.end.status()
        } else if self.started_at.is_some_and(|started_at| started_at <= at) {
            JobStatus::Running
        } else {
            JobStatus::Queued
        }
    }

    /// The state at a moment, in the words of the provider.
    pub(crate) fn word(&self, at: Micros) -> &'static str {
        match self.status(at) {
            JobStatus::Queued => "starting",
            JobStatus::Running => "processing",
            _ => self.end.word(),
        }
    }

    /// How often the state has changed by a moment; that it was made counts as well.
    pub(crate) fn transitions(&self, at: Micros) -> u64 {
        let moments = [Some(self.created_at), self.started_at, self.ended_at];
        moments.into_iter().flatten().filter(|moment| *moment <= at).count() as u64
    }

    pub(crate) fn is_known(&self, at: Micros) -> bool {
        self.forgotten_at.is_none_or(|forgotten_at| at < forgotten_at)
    }

    /// Whether asking for it by itself may fail though it is there.
    pub(crate) fn may_be_unknown(&self, at: Micros) -> bool {
        at < self.created_at + UNKNOWN_FOR
    }

    /// The steps that it has taken by a moment.
    pub(crate) fn steps(&self, at: Micros) -> Option<i64> {
        let started_at = self.started_at.filter(|started_at| *started_at <= at)?;
        let until = self.ended_at.map_or(at, |ended_at| ended_at.min(at));
        let steps = ((until - started_at) / STEP).min(STEPS);
        Some(steps.min(self.hangs_at_step.unwrap_or(STEPS)))
    }

    /// What the provider bills, in microseconds.
    pub(crate) fn predict_time(&self) -> Option<Micros> {
        Some(self.ended_at? - self.started_at?)
    }

    pub(crate) fn output(&self) -> Option<String> {
        (self.end == End::Succeeded).then(|| format!("https://files.example/{}.zip", self.id))
    }

    pub(crate) fn error(&self) -> Option<String> {
        (self.end == End::Failed).then(|| format!("{} ran out of memory", self.id))
    }

    /// The object that the provider answers at a moment, by its own clock. Lists carry no logs.
    pub(crate) fn json(
        &self,
        at: Micros,
        clock: impl Fn(Micros) -> Micros,
        with_logs: bool,
    ) -> String {
        // Without a colon, as many clients print it.
        let form = "%Y-%m-%dT%H:%M:%S%.6f%z";
        let time = |moment: Micros| from_micros(clock(moment)).format(form).to_string();
        let word = self.word(at);
        let mut json = format!(
            r#"{{"id":"{}","model":"a/trainer-h100","input":{},"status":"{word}","created_at":"{}"{}"#,
            self.id,
            self.input,
            time(self.created_at),
            self.strange_fields,
        );

        if let Some(started_at) = self.started_at.filter(|moment| *moment <= at) {
            let _ = write!(json, r#","started_at":"{}""#, time(started_at));
        }
        if let Some(ended_at) = self.ended_at.filter(|moment| *moment <= at) {
            let _ = write!(json, r#","completed_at":"{}""#, time(ended_at));
            if let Some(billed) = self.predict_time() {
                let seconds = billed as f64 / SECOND as f64;
                let _ = write!(json, r#","metrics":{{"predict_time":{seconds}}}"#);
            }
            if let Some(output) = self.output() {
                let _ = write!(json, r#","output":"{output}""#);
            }
            if let Some(error) = self.error() {
                let _ = write!(json, r#","error":"{error}""#);
            }
        }
        if let Some(steps) = self.steps(at).filter(|_| with_logs) {
            // A longer log is a newer one.
            let dots = ".".repeat(steps as usize);
            let _ = write!(json, r#","logs":"{dots}\nstep {steps:04}/{STEPS}\n""#);
        }
        json.push('}');
        json
    }
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    /// Oldest first.
    pub(crate) jobs: Vec<TrueJob>,
}

impl Provider {
    pub(crate) fn job(&self, id: &str) -> Option<&TrueJob> {
        let number: usize = id.strip_prefix("job")?.parse().ok()?;
        self.jobs.get(number)
    }

    /// The jobs of one submission.
    pub(crate) fn of_submission(&self, submission: &str) -> impl Iterator<Item = &TrueJob> {
        self.jobs.iter().filter(move |job| job.submission.as_deref() == Some(submission))
    }

    /// A page of the list, newest first. The cursor is the number of the newest job on the page.
    pub(crate) fn page(
        &self,
        cursor: Option<&str>,
        length: usize,
        at: Micros,
        clock: impl Fn(Micros) -> Micros,
    ) -> String {
        let end = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(self.jobs.len());
        let known = self.jobs[..end].iter().rev().filter(|job| job.is_known(at));
        let shown: Vec<_> = known.take(length + 1).collect();
        let results: Vec<_> =
            shown.iter().take(length).map(|job| job.json(at, &clock, false)).collect();
        let next = shown.get(length).map(|job| &job.id["job".len()..]);
        let next = next.map_or("null".to_owned(), |number| {
            let cursor: usize = number.parse().expect("a number");
            format!(r#""https://api.example/v1/predictions?cursor={}""#, cursor + 1)
        });
        format!(r#"{{"next":{next},"results":[{}]}}"#, results.join(","))
    }
}
