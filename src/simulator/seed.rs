//! Many jobs at once: the history of a busy account.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalog;
use super::job::{Job, Motion, Told};
use super::spec::JobUpdate;
use super::status::{JobKind, Status};

/// Seconds between the creation and the start of a seeded job.
const QUEUE_SECONDS: i64 = 5;
/// Seconds a seeded job that has ended ran.
const RUN_SECONDS: i64 = 600;

/// What to fill the account with. All seeded jobs are manual and without webhooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// How many jobs.
    pub count: u32,
    /// Their statuses, dealt out in turn from the newest job on.
    pub statuses: Vec<Status>,
    /// When the newest was created; by default now.
    pub newest_at: Option<DateTime<Utc>>,
    /// Time between one creation and the next.
    pub interval_milliseconds: u32,
    /// The model they run.
    pub model: String,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            count: 100,
            statuses: vec![Status::Succeeded],
            newest_at: None,
            interval_milliseconds: 60_000,
            model: catalog::DEFAULT_MODEL.to_owned(),
        }
    }
}

impl Seed {
    /// So many jobs of these statuses, a minute apart.
    pub fn new(count: u32, statuses: &[Status]) -> Self {
        Self { count, statuses: statuses.to_vec(), ..Self::default() }
    }
}

/// The jobs of a plan, newest first.
pub(super) fn jobs(plan: &Seed, now: DateTime<Utc>) -> impl Iterator<Item = Job> {
    let newest_at = plan.newest_at.unwrap_or(now);
    let version = catalog::version_of(&plan.model);
    let input = json!({"max_train_steps": 2000});
    (0..plan.count).zip(plan.statuses.iter().cycle()).map(move |(index, status)| {
        let age = TimeDelta::milliseconds(i64::from(index) * i64::from(plan.interval_milliseconds));
        let created_at = newest_at - age;
        let id = new_id();
        Job {
            motion: Motion::Manual(history(&id, status, created_at)),
            id,
            kind: JobKind::Prediction,
            model: plan.model.clone(),
            version: version.clone(),
            destination: None,
            input: input.clone(),
            created_at,
            deadline: None,
            subscription: None,
            is_hidden_once: false,
            oddities: Vec::new(),
        }
    })
}

/// What must have happened for a job to have this status.
fn history(id: &str, status: &Status, created_at: DateTime<Utc>) -> Told {
    let mut told = Told::default();
    let started_at = created_at + TimeDelta::seconds(QUEUE_SECONDS);
    let has_run = !matches!(status, Status::Starting | Status::Aborted);
    if has_run {
        told.apply(JobUpdate::status(Status::Processing), started_at);
        told.logs = "\rEpoch 1/21, Steps:  30%|███       | 600/2000 [00:00<00:29, 47.96it/s, lr=9.5e-5, step_loss=0.0234]\n".to_owned();
    }
    if *status == Status::Failed {
        told.error = Some("CUDA out of memory".to_owned());
    }
    if *status == Status::Succeeded {
        told.output = Value::String(format!("https://replicate.delivery/xezq/{id}/output.zip"));
    }
    let ran = if has_run { RUN_SECONDS } else { 0 };
    told.apply(JobUpdate::status(status.clone()), started_at + TimeDelta::seconds(ran));
    told
}

/// An id as the provider gives it: 26 lower-case letters and digits.
pub(super) fn new_id() -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    // 26 digits of 5 bits are 130 bits; the first digit gets only the 3 that are left of 128.
    let bits: u128 = rand::random();
    (0..26).rev().map(|digit| char::from(ALPHABET[(bits >> (5 * digit)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_dealt_out_in_turn() {
        let plan = Seed::new(3, &[Status::Processing, Status::Failed]);
        let dealt: Vec<_> = jobs(&plan, Utc::now()).map(|job| job.at(Utc::now()).status).collect();
        assert_eq!(dealt, [Status::Processing, Status::Failed, Status::Processing]);
    }

    #[test]
    fn a_seeded_job_that_never_ran_has_no_start() {
        let plan = Seed::new(1, &[Status::Aborted]);
        let aborted = jobs(&plan, Utc::now()).next().map(|job| job.at(Utc::now()).started_at);
        assert_eq!(aborted, Some(None));
    }
}
