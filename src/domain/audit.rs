//! Whether the log of events and the stored jobs tell the same story.
//!
//! Both are written in one transaction, by one piece of code. Here the log is read again by another:
//! folded event by event into what each job must be, and held against what is stored.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::event::Seq;
use super::job::{Job, JobId, JobStatus};

/// One way in which the log and the jobs disagree.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Finding {
    /// Positions are missing, or came twice.
    #[error("event {found} follows event {after}")]
    Gap {
        /// The position before.
        after: Seq,
        /// The one that follows.
        found: Seq,
    },
    /// The head of the log is not its last event.
    #[error("the head of the log stands at {head}, and its last event is {last}")]
    Head {
        /// Where the head stands.
        head: Seq,
        /// The last event.
        last: Seq,
    },
    /// An event is no event.
    #[error("event {seq} cannot be read: {problem}")]
    Unreadable {
        /// Which event.
        seq: Seq,
        /// Why not.
        problem: String,
    },
    /// A transition begins in another state than the one before it ended in.
    #[error(
        "event {seq} says that job {job_id} was {said}, and the event before that it was {known}"
    )]
    BrokenChain {
        /// Which event.
        seq: Seq,
        /// Which job.
        job_id: JobId,
        /// The state in which the event says it was.
        said: JobStatus,
        /// The state in which it was left.
        known: JobStatus,
    },
    /// A status went back.
    #[error("event {seq} takes job {job_id} back from {from} to {to}")]
    WentBack {
        /// Which event.
        seq: Seq,
        /// Which job.
        job_id: JobId,
        /// The state before.
        from: JobStatus,
        /// The state after.
        to: JobStatus,
    },
    /// A job of the log is not stored, and no event says that it was deleted.
    #[error("job {job_id} of event {seq} is not stored")]
    Missing {
        /// Which job.
        job_id: JobId,
        /// The last event about it.
        seq: Seq,
    },
    /// A stored job is not in the log.
    #[error("no event tells of job {job_id}")]
    Untold {
        /// Which job.
        job_id: JobId,
    },
    /// The kept logs are not as large as they are said to be.
    #[error("the kept logs have {stored} bytes, and are counted as {counted}")]
    LogSize {
        /// What they have.
        stored: i64,
        /// What the running sum says.
        counted: i64,
    },
    /// A job is stored otherwise than it was told.
    #[error("{field} of job {job_id} is {stored}, and event {seq} told {told}")]
    Different {
        /// Which job.
        job_id: JobId,
        /// The last event about it.
        seq: Seq,
        /// Which field of the job.
        field: &'static str,
        /// What is stored.
        stored: Value,
        /// What was told.
        told: Value,
    },
}

/// The log, folded as far as it was read.
#[derive(Debug, Default)]
pub struct LogFold {
    first: Option<Seq>,
    last: Seq,
    jobs: HashMap<JobId, LastTold>,
}

/// The last that was told of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTold {
    /// By which event.
    pub seq: Seq,
    /// The state.
    pub status: JobStatus,
}

/// What every event says that is about a job.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    job_id: Option<JobId>,
    #[serde(default)]
    status: Option<JobStatus>,
    #[serde(default)]
    previous: Option<JobStatus>,
}

impl LogFold {
    /// Takes the next event, and answers what is wrong with it.
    pub fn take(&mut self, seq: Seq, json: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.first.is_some() && seq != self.last + 1 {
            findings.push(Finding::Gap { after: self.last, found: seq });
        }
        self.first.get_or_insert(seq);
        self.last = seq;
        match serde_json::from_str::<Told>(json) {
            Err(problem) => {
                findings.push(Finding::Unreadable { seq, problem: problem.to_string() });
            }
            Ok(Told { job_id: Some(job_id), kind, .. }) if kind == "job_deleted" => {
                self.jobs.remove(&job_id);
            }
            Ok(Told { job_id: Some(job_id), status: Some(status), previous, .. }) => {
                let known = self.jobs.insert(job_id.clone(), LastTold { seq, status });
                findings.extend(
                    known.and_then(|known| judge(seq, job_id, known.status, previous, status)),
                );
            }
            // A sync has ended; it changes no job.
            Ok(_) => {}
        }
        findings
    }

    /// Holds the head of the log against its last event.
    pub fn check_head(&self, head: Seq) -> Option<Finding> {
        let is_right = self.first.is_none() || head == self.last;
        (!is_right).then_some(Finding::Head { head, last: self.last })
    }

    /// Takes out what was last told of a job.
    pub fn take_job(&mut self, job_id: &JobId) -> Option<LastTold> {
        self.jobs.remove(job_id)
    }

    /// What to say of a stored job that no event tells of: nothing where old events were forgotten,
    /// which may be all up to the `head`.
    pub fn untold(&self, job_id: &JobId, head: Seq) -> Option<Finding> {
        let is_whole = self.first.map_or(head == 0, |first| first == 1);
        is_whole.then(|| Finding::Untold { job_id: job_id.clone() })
    }

    /// The jobs that were told of and not taken out, in the order of their last events.
    pub fn missing(self) -> Vec<Finding> {
        let mut missing: Vec<_> = self.jobs.into_iter().collect();
        missing.sort_by_key(|(_, told)| told.seq);
        missing
            .into_iter()
            .map(|(job_id, told)| Finding::Missing { job_id, seq: told.seq })
            .collect()
    }
}

fn judge(
    seq: Seq,
    job_id: JobId,
    known: JobStatus,
    said: Option<JobStatus>,
    status: JobStatus,
) -> Option<Finding> {
    match said {
        Some(said) if said != known => Some(Finding::BrokenChain { seq, job_id, said, known }),
        _ if status.rank() < known.rank() => {
            Some(Finding::WentBack { seq, job_id, from: known, to: status })
        }
        _ => None,
    }
}

/// The fields that change only together with an event. Of a job that runs, cost and duration grow by
/// themselves, and progress and confirmations are not in the log.
const TOLD_FIELDS: [&str; 12] = [
    "status",
    "provider_status",
    "stalled_since",
    "job_type",
    "provider",
    "created_at",
    "started_at",
    "hardware_type",
    "error_message",
    "output_url",
    "user_id",
    "metadata",
];

/// Holds a stored job, and its view as clients see it, against the last event about it.
pub fn compare(job: &Job, view: &Value, seq: Seq, event: &str) -> Vec<Finding> {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let ended = job.completed_at.map(|_| "completed_at");
    let billed = job.cost_micro_usd.map(|_| "cost_usd");
    // A job without a name is shown by one that is made up, which earlier events did not tell.
    let named = job.config_name.as_ref().map(|_| "config_name");
    TOLD_FIELDS
        .into_iter()
        .chain(named)
        .chain(ended)
        .chain(billed)
        .filter(|field| view[*field] != event["job"][*field])
        .map(|field| Finding::Different {
            job_id: job.job_id.clone(),
            seq,
            field,
            stored: view[field].clone(),
            told: event["job"][field].clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(previous: &str, status: &str) -> String {
        format!(
            r#"{{"type":"job_status_changed","job_id":"p1","status":"{status}","previous":"{previous}"}}"#
        )
    }

    const DISCOVERED: &str = r#"{"type":"job_discovered","job_id":"p1","status":"queued"}"#;
    const DELETED: &str = r#"{"type":"job_deleted","job_id":"p1"}"#;

    fn fold(events: &[(Seq, &str)]) -> (LogFold, Vec<Finding>) {
        let mut fold = LogFold::default();
        let findings = events.iter().flat_map(|(seq, json)| fold.take(*seq, json)).collect();
        (fold, findings)
    }

    #[test]
    fn a_life_in_order_has_no_finding() {
        let (running, ended) = (changed("queued", "running"), changed("running", "completed"));
        let (mut log, findings) = fold(&[(1, DISCOVERED), (2, &running), (3, &ended)]);
        assert_eq!((findings, log.check_head(3)), (vec![], None));
        let last = LastTold { seq: 3, status: JobStatus::Completed };
        assert_eq!(log.take_job(&"p1".into()), Some(last));
        assert_eq!(log.missing(), []);
    }

    #[test]
    fn a_hole_in_the_log_is_found() {
        let (log, findings) = fold(&[(1, DISCOVERED), (3, DELETED)]);
        assert_eq!(findings, [Finding::Gap { after: 1, found: 3 }]);
        assert_eq!(log.check_head(4), Some(Finding::Head { head: 4, last: 3 }));
    }

    #[test]
    fn a_transition_that_nothing_led_to_is_found() {
        let (_, findings) = fold(&[(1, DISCOVERED), (2, &changed("running", "completed"))]);
        assert!(matches!(findings[..], [Finding::BrokenChain { seq: 2, .. }]), "{findings:?}");
    }

    #[test]
    fn a_job_that_reopens_is_found() {
        let (ended, reopened) = (changed("queued", "completed"), changed("completed", "running"));
        let (_, findings) = fold(&[(1, DISCOVERED), (2, &ended), (3, &reopened)]);
        assert!(matches!(findings[..], [Finding::WentBack { seq: 3, .. }]), "{findings:?}");
    }

    #[test]
    fn a_deleted_job_may_begin_anew() {
        let ended = changed("queued", "completed");
        let (_, findings) = fold(&[(1, DISCOVERED), (2, &ended), (3, DELETED), (4, DISCOVERED)]);
        assert_eq!(findings, []);
    }

    #[test]
    fn a_job_older_than_the_log_is_no_finding() {
        assert!(fold(&[(1, DELETED)]).0.untold(&"old".into(), 1).is_some());
        assert!(fold(&[(7, DELETED)]).0.untold(&"old".into(), 7).is_none());
        assert!(fold(&[]).0.untold(&"old".into(), 0).is_some());
        assert!(fold(&[]).0.untold(&"old".into(), 7).is_none(), "all of it was forgotten");
    }
}
