//! One job of the simulated account, and what can be said of it at any moment.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::catalog;
use super::oddity::Oddity;
use super::scenario::{End, Scenario};
use super::spec::JobUpdate;
use super::status::{JobKind, Status};
use super::trainer_log;
use super::webhooks::Subscription;

/// What a manual job has been told so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) status: Status,
    pub(super) logs: String,
    pub(super) output: Value,
    pub(super) error: Option<String>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) completed_at: Option<DateTime<Utc>>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            status: Status::Starting,
            logs: String::new(),
            output: Value::Null,
            error: None,
            started_at: None,
            completed_at: None,
        }
    }
}

impl Told {
    pub(super) fn apply(&mut self, update: JobUpdate, now: DateTime<Utc>) {
        if let Some(logs) = update.logs {
            self.logs = logs;
        }
        if let Some(text) = update.append_logs {
            self.logs.push_str(&text);
        }
        if let Some(output) = update.output {
            self.output = output;
        }
        self.error = update.error.or(self.error.take());
        self.started_at = update.started_at.or(self.started_at);
        self.completed_at = update.completed_at.or(self.completed_at);
        let Some(status) = update.status else { return };
        // Only these three imply a run: what is cancelled or aborted may never have had one.
        if matches!(status, Status::Processing | Status::Succeeded | Status::Failed) {
            self.started_at = self.started_at.or(Some(now));
        }
        if status.is_terminal() {
            self.completed_at = self.completed_at.or(Some(now));
        }
        self.status = status;
    }
}

/// How a job moves, with the state that needs.
#[derive(Clone, Debug)]
pub(super) enum Motion {
    Scripted { scenario: Box<Scenario>, canceled_at: Option<DateTime<Utc>> },
    Manual(Told),
}

/// A job of the simulated account.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) kind: JobKind,
    pub(super) model: String,
    pub(super) version: String,
    /// The model a training writes its new version to.
    pub(super) destination: Option<String>,
    pub(super) input: Value,
    pub(super) created_at: DateTime<Utc>,
    /// `Cancel-After`: when the job is ended if it has not ended by itself.
    pub(super) deadline: Option<DateTime<Utc>>,
    pub(super) subscription: Option<Subscription>,
    pub(super) motion: Motion,
    /// Whether the next GET answers 404, as the real provider now and then does right after a create.
    pub(super) is_hidden_once: bool,
    pub(super) oddities: Vec<Oddity>,
}

/// Where a job stands at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) status: Status,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) completed_at: Option<DateTime<Utc>>,
    pub(super) output: Value,
    pub(super) error: Option<String>,
}

impl Job {
    /// Where the job stands at `now`.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Moment {
        let told = match &self.motion {
            Motion::Manual(told) => told,
            Motion::Scripted { scenario, .. } => return self.scripted_at(scenario, now),
        };
        Moment {
            status: told.status.clone(),
            started_at: told.started_at,
            completed_at: told.completed_at,
            output: told.output.clone(),
            error: told.error.clone(),
        }
    }

    fn scripted_at(&self, scenario: &Scenario, now: DateTime<Utc>) -> Moment {
        let started_at = self.starts_at().filter(|at| *at <= now);
        let ended = self.ends_at().filter(|(at, _)| *at <= now);
        let completed_at = ended.as_ref().map(|(at, _)| *at);
        let status = match ended {
            Some((_, status)) => status,
            None if started_at.is_some() => Status::Processing,
            None => Status::Starting,
        };
        let error = match (&status, &scenario.end) {
            (Status::Failed, End::Fail { error, .. }) => Some(error.clone()),
            _ => None,
        };
        let output = match status {
            Status::Succeeded => self.final_output(),
            _ => Value::Null,
        };
        Moment { status, started_at, completed_at, output, error }
    }

    /// When a scripted job starts to run, also in the future; `None` if it never does, or is manual.
    pub(super) fn starts_at(&self) -> Option<DateTime<Utc>> {
        let Motion::Scripted { scenario, .. } = &self.motion else {
            return None;
        };
        let starts_at = self.real_time(scenario, scenario.started_at_seconds()?);
        let is_cut_off = self.ends_at().is_some_and(|(end, _)| end < starts_at);
        (!is_cut_off).then_some(starts_at)
    }

    /// When and how a scripted job ends, also in the future; `None` if nothing ends it, or it is manual.
    pub(super) fn ends_at(&self) -> Option<(DateTime<Utc>, Status)> {
        let Motion::Scripted { scenario, canceled_at } = &self.motion else {
            return None;
        };
        let by_itself = scenario.ended_at_seconds().map(|seconds| {
            let status = match scenario.end {
                End::Fail { .. } => Status::Failed,
                End::Abort => Status::Aborted,
                End::Succeed | End::RunUntilCancelled => Status::Succeeded,
            };
            (self.real_time(scenario, seconds), status)
        });
        let by_deadline = self.deadline.map(|at| {
            let queue_ends_at = self.real_time(scenario, scenario.queue_seconds);
            (at, if at < queue_ends_at { Status::Aborted } else { Status::Canceled })
        });
        let by_user = canceled_at.map(|at| (at, Status::Canceled));
        [by_itself, by_deadline, by_user].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The whole log at `now`, before the archive takes its last newline.
    pub(super) fn log_at(&self, now: DateTime<Utc>) -> String {
        let scenario = match &self.motion {
            Motion::Manual(told) => return told.logs.clone(),
            Motion::Scripted { scenario, .. } => scenario,
        };
        let end = self.ends_at().filter(|(at, _)| *at <= now);
        let last_moment = end.as_ref().map_or(now, |(at, _)| *at);
        let real_seconds = (last_moment - self.created_at).as_seconds_f64();
        // A microsecond more: times are cut to whole nanoseconds, and the last line must be in.
        let mut log = trainer_log::text(scenario, (real_seconds + 1e-6) * scenario.speed);
        let was_stopped = matches!(end, Some((_, Status::Canceled)));
        if was_stopped && self.starts_at().is_some() {
            log.push_str(trainer_log::ABORTED_LINE);
        }
        log
    }

    /// Cancels the job if it has not ended.
    pub(super) fn cancel(&mut self, now: DateTime<Utc>) {
        if self.at(now).status.is_terminal() {
            return;
        }
        match &mut self.motion {
            Motion::Manual(told) => told.apply(JobUpdate::status(Status::Canceled), now),
            Motion::Scripted { canceled_at, .. } => *canceled_at = Some(now),
        }
    }

    fn final_output(&self) -> Value {
        let weights = format!("https://replicate.delivery/xezq/{}/output.zip", self.id);
        match &self.destination {
            Some(destination) => serde_json::json!({
                "version": format!("{destination}:{}", catalog::version_of(&self.id)),
                "weights": weights,
            }),
            None => Value::String(weights),
        }
    }

    fn real_time(&self, scenario: &Scenario, simulated_seconds: f64) -> DateTime<Utc> {
        let nanoseconds = simulated_seconds / scenario.speed.max(1e-9) * 1e9;
        self.created_at + TimeDelta::nanoseconds(nanoseconds as i64) + self.jitter()
    }

    /// Less than a millisecond, always the same for a job: real moments are not round, and their stamps
    /// have now six digits, now nine.
    fn jitter(&self) -> TimeDelta {
        let mix = |mixed: u32, byte| mixed.wrapping_mul(31).wrapping_add(u32::from(byte));
        let mixed = self.id.bytes().fold(0, mix);
        let nanoseconds = mixed % 1_000_000;
        let is_short = mixed.is_multiple_of(2);
        let rest = if is_short { nanoseconds % 1000 } else { 0 };
        TimeDelta::nanoseconds(i64::from(nanoseconds - rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(scenario: Scenario) -> Job {
        Job {
            // No id, no jitter.
            id: String::new(),
            kind: JobKind::Prediction,
            model: "a/b".to_owned(),
            version: "hidden".to_owned(),
            destination: None,
            input: Value::Null,
            created_at: DateTime::UNIX_EPOCH,
            deadline: None,
            subscription: None,
            motion: Motion::Scripted { scenario: Box::new(scenario), canceled_at: None },
            is_hidden_once: false,
            oddities: Vec::new(),
        }
    }

    fn seconds(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_scripted_job_goes_through_its_statuses_at_its_speed() {
        let job = job(Scenario { queue_seconds: 10.0, speed: 2.0, ..Scenario::default() });
        assert_eq!(job.at(seconds(4)).status, Status::Starting);
        assert_eq!(job.at(seconds(5)).status, Status::Processing);
        assert_eq!(job.at(seconds(5000)).status, Status::Succeeded);
    }

    #[test]
    fn a_deadline_in_the_queue_aborts_and_a_later_one_cancels() {
        let scenario =
            Scenario { queue_seconds: 10.0, end: End::RunUntilCancelled, ..Scenario::default() };
        for (deadline, status) in [(6, Status::Aborted), (12, Status::Canceled)] {
            let mut job = job(scenario.clone());
            job.deadline = Some(seconds(deadline));
            assert_eq!(job.at(seconds(20)).status, status);
        }
    }

    #[test]
    fn the_log_of_a_cancelled_run_stops_growing() {
        let mut job = job(Scenario::default());
        job.cancel(seconds(30));
        assert_eq!(job.log_at(seconds(30)), job.log_at(seconds(60)));
        assert!(job.log_at(seconds(60)).ends_with("Aborting training run.\n"));
    }

    #[test]
    fn a_manual_job_stamps_its_start_and_end_unless_told_otherwise() {
        let mut told = Told::default();
        told.apply(JobUpdate::status(Status::Processing), seconds(1));
        let end = JobUpdate { completed_at: Some(seconds(7)), ..JobUpdate::status(Status::Failed) };
        told.apply(end, seconds(9));
        assert_eq!((told.started_at, told.completed_at), (Some(seconds(1)), Some(seconds(7))));
    }
}
