//! How a job came to be what it is: every transition, who told us of it first, when it happened at
//! the provider, and how much later we knew.

use serde::{Deserialize, Serialize};

use super::event::Seq;
use super::job::{Job, JobStatus};
use super::observation::Source;
use super::timestamp::Timestamp;

/// A transition, as the contract shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transition {
    /// The state before; None where the job was not known before.
    pub from: Option<JobStatus>,
    /// The state after.
    pub to: JobStatus,
    /// Who told us of it first.
    pub source: Source,
    /// When it happened by the provider's clock, where the provider has said so by now.
    pub provider_at: Option<Timestamp>,
    /// When we stored it, by our clock.
    pub at: Timestamp,
    /// From the one to the other, in seconds; below 0 where the clocks differ.
    pub delay_seconds: Option<f64>,
    /// The position of its event in the log.
    pub seq: Seq,
}

/// The transitions of a job since it was last discovered.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// The transitions, oldest first.
    pub transitions: Vec<Transition>,
    /// Whether they go back to the job's discovery; older events are forgotten after a while.
    pub is_complete: bool,
}

/// What the log of events says of a transition.
#[derive(Debug, Deserialize)]
struct Told {
    seq: Seq,
    at: Timestamp,
    status: JobStatus,
    #[serde(default)]
    previous: Option<JobStatus>,
    source: Source,
}

impl Timeline {
    /// The timeline of `job`, of the events about its state as the log holds them, oldest first.
    /// An event that cannot be read is left out.
    pub fn new<'a>(job: &Job, events: impl IntoIterator<Item = &'a str>) -> Self {
        let mut timeline = Self { transitions: Vec::new(), is_complete: false };
        for told in events.into_iter().filter_map(|json| serde_json::from_str::<Told>(json).ok()) {
            if told.previous.is_none() {
                // What was before belongs to a job of the same name that was deleted.
                timeline.transitions.clear();
                timeline.is_complete = true;
            }
            timeline.transitions.push(told.into_transition(job));
        }
        timeline
    }
}

impl Told {
    fn into_transition(self, job: &Job) -> Transition {
        let Self { seq, at, status, previous, source } = self;
        let provider_at = job.entered_at(status);
        let delay = provider_at.map(|provider_at| at - provider_at);
        Transition {
            from: previous,
            to: status,
            source,
            provider_at,
            at,
            delay_seconds: delay.map(|delay| delay.num_milliseconds() as f64 / 1e3),
            seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::parse;

    fn at(text: &str) -> Timestamp {
        parse(text).expect("an instant")
    }

    fn job() -> Job {
        let created_at = at("2026-03-01T10:00:00Z");
        Job {
            status: JobStatus::Completed,
            provider_created_at: Some(created_at),
            started_at: Some(at("2026-03-01T10:01:00Z")),
            completed_at: Some(at("2026-03-01T10:11:00Z")),
            ..Job::unheard_of("replicate", "p1", created_at)
        }
    }

    const DISCOVERED: &str = r#"{"type":"job_discovered","seq":4,"at":"2026-03-01T10:00:02Z",
        "status":"queued","source":"sync","job":{}}"#;
    const ENDED: &str = r#"{"type":"job_status_changed","seq":9,"at":"2026-03-01T10:11:00.5Z",
        "status":"completed","previous":"queued","source":"webhook","job":{}}"#;

    #[test]
    fn a_transition_says_who_told_it_first_and_how_late() {
        let timeline = Timeline::new(&job(), [DISCOVERED, ENDED]);
        assert!(timeline.is_complete);
        let [first, last] = &timeline.transitions[..] else { panic!("two: {timeline:?}") };
        assert_eq!((first.from, first.to), (None, JobStatus::Queued));
        assert_eq!((first.source, first.delay_seconds), (Source::Sync, Some(2.0)));
        assert_eq!((last.from, last.to), (Some(JobStatus::Queued), JobStatus::Completed));
        assert_eq!((last.source, last.delay_seconds), (Source::Webhook, Some(0.5)));
    }

    #[test]
    fn a_timeline_whose_beginning_is_forgotten_says_so() {
        let timeline = Timeline::new(&job(), [ENDED]);
        assert_eq!((timeline.transitions.len(), timeline.is_complete), (1, false));
    }

    #[test]
    fn a_job_that_was_deleted_and_found_again_begins_anew() {
        let timeline = Timeline::new(&job(), [DISCOVERED, ENDED, DISCOVERED]);
        assert_eq!((timeline.transitions.len(), timeline.is_complete), (1, true));
    }

    #[test]
    fn another_end_than_the_one_that_stands_has_no_time_of_the_provider() {
        let other = ENDED.replace("completed", "cancelled");
        let timeline = Timeline::new(&job(), [other.as_str()]);
        assert_eq!(timeline.transitions[0].provider_at, None);
    }
}
