//! Whether a job is still there, and whether it still gets on, and to anything.
//!
//! Neither is a state: a job that the provider does not know any more has not ended that way, and one
//! that takes no steps may yet. So both are told beside the state, of what was seen and when.
//!
//! Both go by our time of day, since a restart must not forget them. Where that is set, an alarm may
//! come too late or too early by as much.
//!
//! As in [the merge](super::observation), every field is a register of which the greatest entry stays,
//! so the order in which observations come does not matter.

use std::cmp::Reverse;

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::job::{Job, JobStatus};
use super::observation::{LogMark, Observation, ProgressReading};
use super::timestamp::{Timestamp, from_micros, to_micros};

/// How long the provider must not know a job before we call it gone: right after a job was created
/// it may answer 404 once, and one answer proves nothing.
pub const GONE_AFTER: Duration = Duration::minutes(10);

/// How many times the time of a step a running job may take for one before it is called stalled.
const STALLED_STEPS: f64 = 5.0;
/// The least time without a new step after which a job is called stalled.
const STALLED_AFTER_MIN: Duration = Duration::minutes(10);

/// What is remembered of a job to tell whether it lives. Instants are ours, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Liveness {
    /// When the provider last told of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<i64>,
    /// When the provider last did not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Missing>,
    /// The furthest step that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<StepSeen>,
    /// The newest log that we read, and when we last read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<(LogMark, i64)>,
    /// The newest log that we asked for, and when we last did. What is sent to us may be long past: only an
    /// answer tells that there is no more of a log by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<(LogMark, i64)>,
    /// The first step at which the loss was nan or infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_not_finite_step: Option<u64>,
}

/// The provider did not know the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Missing {
    /// The last time.
    at: i64,
    /// The first time, as who asked last knew it.
    since: i64,
}

/// A step, and when we first saw that it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct StepSeen {
    /// How often its log had been rewritten: a step in a later one is further than any before.
    generation: u32,
    /// How often the run had begun again, by that log.
    restarts: u32,
    step: u64,
    first_at: Reverse<i64>,
}

/// Something that a person may want to look after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The provider does not know the job any more.
    Gone {
        /// Since when.
        since: Timestamp,
    },
    /// A running job takes no more steps.
    Stalled {
        /// When it took the last one, as far as we saw.
        since: Timestamp,
    },
    /// The loss was nan or infinite, which most runs do not recover from. It is told once a job.
    LossNotFinite {
        /// At which step it first was.
        step: u64,
    },
}

impl Liveness {
    /// Takes in what was observed.
    pub(super) fn take(&mut self, said: &Observation) {
        let at = to_micros(said.observed_at);
        match said.missing_since {
            Some(since) => {
                self.missing = self.missing.max(Some(Missing { at, since: to_micros(since) }));
            }
            None if said.by_provider => self.seen_at = self.seen_at.max(Some(at)),
            None => {}
        }
        let Some(reading) = &said.progress else { return };
        let ProgressReading { generation, log_bytes, ref progress, .. } = *reading;
        let mark = LogMark { generation, log_bytes };
        self.read = self.read.max(Some((mark, at)));
        self.asked = self.asked.max(reading.asked_at.map(|asked_at| (mark, to_micros(asked_at))));
        let (first_at, restarts) = (Reverse(at), progress.restarts);
        let step = progress.step.map(|step| StepSeen { generation, restarts, step, first_at });
        self.step = self.step.max(step);
        let steps = [self.loss_not_finite_step, progress.loss_not_finite_step];
        self.loss_not_finite_step = steps.into_iter().flatten().min();
    }

    /// Since when the provider has not known the job; None where it told of it after that.
    pub fn missing_since(&self) -> Option<Timestamp> {
        self.missing_micros().map(|(since, _)| from_micros(since))
    }

    /// When we last asked in vain.
    pub fn missing_at(&self) -> Option<Timestamp> {
        self.missing_micros().map(|(_, at)| from_micros(at))
    }

    /// The first step at which the loss was nan or infinite, as far as any log told.
    pub fn loss_not_finite_step(&self) -> Option<u64> {
        self.loss_not_finite_step
    }

    /// When we last read a log that was not an older one than those before it.
    pub fn read_at(&self) -> Option<Timestamp> {
        self.read.map(|(_, at)| from_micros(at))
    }

    /// Since when the job is gone, where it is.
    pub fn gone_since(&self) -> Option<Timestamp> {
        let (since, at) =
            self.missing_micros().map(|(since, at)| (from_micros(since), from_micros(at)))?;
        (at - since >= GONE_AFTER).then_some(since)
    }

    fn missing_micros(&self) -> Option<(i64, i64)> {
        let Missing { at, since } = self.missing?;
        match self.seen_at {
            Some(seen_at) if seen_at >= at => None,
            // It was there in between, so it was missed only since.
            Some(seen_at) if seen_at >= since => Some((at, at)),
            _ => Some((since, at)),
        }
    }

    /// How long the furthest step has been the last one, and since when.
    fn without_a_step(&self, step: u64) -> Option<(Duration, Timestamp)> {
        let seen = self.step.filter(|seen| seen.step == step)?;
        let (newest, _) = self.read?;
        let (_, asked_at) = self.asked.filter(|(mark, _)| *mark >= newest)?;
        let since = from_micros(seen.first_at.0);
        Some((from_micros(asked_at) - since, since))
    }
}

impl Job {
    /// Since when the job takes no more steps, where that is so long that something may be wrong with
    /// it. None where it does not run, has taken no step yet, or has taken its last one.
    pub fn stalled_since(&self) -> Option<Timestamp> {
        let progress = self.progress.as_ref().filter(|_| self.status == JobStatus::Running)?;
        let step = progress.step?;
        if progress.total_steps.is_some_and(|total| step >= total) {
            return None;
        }
        let usual = progress.median_seconds_per_step.or(progress.seconds_per_step);
        let steps = usual.unwrap_or_default() * STALLED_STEPS;
        let limit = STALLED_AFTER_MIN.max(Duration::milliseconds((steps * 1e3) as i64));
        let (waited, since) = self.liveness.without_a_step(step)?;
        (waited >= limit).then_some(since)
    }

    /// Since when the provider has not known the job, where that is long enough to call it gone.
    pub fn gone_since(&self) -> Option<Timestamp> {
        self.liveness.gone_since()
    }

    /// The alarms that the job is in.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm> {
        let gone = self.gone_since().map(|since| Alarm::Gone { since });
        let stalled = self.stalled_since().map(|since| Alarm::Stalled { since });
        let loss = self.liveness.loss_not_finite_step.map(|step| Alarm::LossNotFinite { step });
        gone.into_iter().chain(stalled).chain(loss)
    }
}

#[cfg(test)]
mod tests {
    use super::super::observation::{Source, merge};
    use super::super::progress::Progress;
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        from_micros(minute * 60_000_000)
    }

    fn said(at: i64) -> Observation {
        Observation {
            status: Some(JobStatus::Running),
            ..Observation::silent("replicate", "p1", Source::Poll, minute(at))
        }
    }

    fn missing(at: i64, since: i64) -> Observation {
        Observation::missing("replicate", "p1", minute(at), Some(minute(since)))
    }

    /// The log says that a step was taken, or is the same as before where `bytes` are the same.
    fn at_step(at: i64, bytes: u64, step: u64) -> Observation {
        let progress = Progress {
            step: Some(step),
            total_steps: Some(100),
            seconds_per_step: Some(60.0),
            ..Progress::default()
        };
        let reading = ProgressReading {
            progress,
            log_bytes: bytes,
            asked_at: Some(minute(at)),
            ..ProgressReading::default()
        };
        Observation { progress: Some(reading), ..said(at) }
    }

    fn told(observations: &[Observation]) -> Job {
        let unheard_of = Job::unheard_of("replicate", "p1", minute(0));
        observations.iter().fold(unheard_of, |job, said| merge(&job, said).map_or(job, |c| c.job))
    }

    #[test]
    fn a_job_missing_twice_ten_minutes_apart_is_gone() {
        assert_eq!(told(&[said(0), missing(1, 1)]).gone_since(), None);
        assert_eq!(told(&[said(0), missing(1, 1), missing(10, 1)]).gone_since(), None);
        let gone = told(&[said(0), missing(1, 1), missing(11, 1)]);
        assert_eq!((gone.gone_since(), gone.status), (Some(minute(1)), JobStatus::Running));
    }

    #[test]
    fn a_job_that_was_there_in_between_is_not_gone() {
        let back = told(&[missing(1, 1), said(5), missing(11, 1)]);
        assert_eq!((back.gone_since(), back.liveness.missing_since()), (None, Some(minute(11))));
        let back = told(&[missing(1, 1), missing(11, 1), said(12)]);
        assert_eq!((back.gone_since(), back.liveness.missing_since()), (None, None));
    }

    #[test]
    fn a_trainer_that_speaks_does_not_bring_a_job_back_to_the_provider() {
        let trainer = Observation { by_provider: false, ..said(5) };
        assert_eq!(told(&[missing(1, 1), trainer, missing(11, 1)]).gone_since(), Some(minute(1)));
    }

    #[test]
    fn a_running_job_without_a_new_step_for_ten_minutes_is_stalled() {
        let stalled = |at| told(&[at_step(0, 10, 5), at_step(at, 10, 5)]).stalled_since();
        assert_eq!(stalled(9), None);
        assert_eq!(stalled(10), Some(minute(0)));
    }

    #[test]
    fn slow_steps_are_given_the_time_of_five() {
        let slow = |at| {
            let mut last = at_step(at, 11, 5);
            last.progress.as_mut().expect("a log").progress.seconds_per_step = Some(600.0);
            told(&[at_step(0, 10, 5), last]).stalled_since()
        };
        assert_eq!((slow(49), slow(50)), (None, Some(minute(0))));
    }

    #[test]
    fn only_looking_again_shows_that_a_job_is_stalled() {
        assert_eq!(told(&[at_step(0, 10, 5), said(60)]).stalled_since(), None);
    }

    #[test]
    fn what_was_sent_may_be_long_past_and_shows_nothing() {
        let sent = |at, bytes, step| {
            let mut sent = at_step(at, bytes, step);
            sent.progress.as_mut().expect("a log").asked_at = None;
            sent
        };
        assert_eq!(told(&[at_step(0, 10, 5), sent(60, 10, 5)]).stalled_since(), None);
        // Nor does an older answer, once more of the log was seen.
        let more = [at_step(0, 10, 5), sent(1, 20, 5), at_step(60, 10, 5)];
        assert_eq!(told(&more).stalled_since(), None);
    }

    #[test]
    fn a_new_step_ends_the_alarm() {
        let again = [at_step(0, 10, 5), at_step(20, 10, 5), at_step(21, 30, 6)];
        assert_eq!(told(&again).stalled_since(), None);
    }

    #[test]
    fn a_step_after_a_restart_is_a_new_one() {
        let mut restarted = at_step(20, 30, 2);
        restarted.progress.as_mut().expect("a log").progress.restarts = 1;
        assert_eq!(told(&[at_step(0, 10, 5), at_step(9, 20, 5), restarted]).stalled_since(), None);
    }

    #[test]
    fn a_job_that_has_taken_its_last_step_is_not_stalled() {
        assert_eq!(told(&[at_step(0, 10, 100), at_step(60, 20, 100)]).stalled_since(), None);
    }

    #[test]
    fn a_job_that_has_ended_is_not_stalled() {
        let end = Observation { status: Some(JobStatus::Failed), ..said(61) };
        let ended = told(&[at_step(0, 10, 5), at_step(60, 20, 5), end]);
        assert_eq!(ended.stalled_since(), None);
    }

    #[test]
    fn a_loss_that_is_no_number_is_an_alarm_once_and_of_the_first_step_that_was_told() {
        let bad = |at, step, bad: Option<u64>| {
            let mut said = at_step(at, at.unsigned_abs() + 10, step);
            said.progress.as_mut().expect("a log").progress.loss_not_finite_step = bad;
            said
        };
        let mut job = told(&[bad(0, 5, None)]);
        assert_eq!(job.liveness.loss_not_finite_step(), None);
        let mut raised = Vec::new();
        for said in [bad(1, 8, Some(7)), bad(2, 9, Some(7)), bad(3, 10, None), bad(4, 12, Some(11))]
        {
            let change = merge(&job, &said).expect("each of these says something new");
            raised.extend(change.alarms);
            job = change.job;
        }
        assert_eq!(raised, [Alarm::LossNotFinite { step: 7 }]);
        assert_eq!(job.liveness.loss_not_finite_step(), Some(7));
    }

    #[test]
    fn an_alarm_is_raised_once_for_as_long_as_it_lasts() {
        let history = [
            at_step(0, 10, 5),
            at_step(10, 10, 5),
            at_step(20, 10, 5),
            missing(21, 21),
            missing(31, 21),
            missing(41, 21),
            at_step(42, 30, 6),
            at_step(52, 30, 6),
        ];
        let mut job = Job::unheard_of("replicate", "p1", minute(0));
        let mut raised = Vec::new();
        for said in history {
            let change = merge(&job, &said).expect("each of these says something new");
            raised.extend(change.alarms);
            job = change.job;
        }
        let stalled = |since| Alarm::Stalled { since: minute(since) };
        let expected = [stalled(0), Alarm::Gone { since: minute(21) }, stalled(42)];
        assert_eq!(raised, expected);
    }
}
