//! The queue: jobs on their way to a provider. Everything that changes it tells so in the log of events,
//! in the same transaction.

mod look;
mod row;

use chrono::Duration;
use diesel::prelude::*;

use self::look::get;
pub(super) use self::look::suspects;
pub use self::look::{
    Totals, by_status, ended, find, has_webhook, in_force, newest_named, open, order_of,
    past_runs_seconds, past_waits_seconds, totals, unresolved,
};
use self::row::NewEntry;
use super::connection::Connection;
use super::error::StoreError;
use super::events::EventAppender;
use super::observations::{Recorded, Report, record_within};
use super::schema::queue_entries;
use super::settings::{self, Setting};
use super::{jobs, on_each_backend, schema};
use crate::domain::cost::Prices;
use crate::domain::event::{Event, LoggedEvent};
use crate::domain::job::{Job, JobId, JobStatus};
use crate::domain::job_view::JobView;
use crate::domain::observation::Source;
use crate::domain::queue::{Limits, Priority, QueueEntry, QueueStatus, Schedule, back_off};
use crate::domain::submission::{Order, next_attempt_id};
use crate::domain::timestamp::{Timestamp, to_micros};

/// How many jobs may wait.
pub const PENDING_MAX: i64 = 10_000;

/// How long an idempotency key stands for the job that came with it first.
const KEY_HOLDS: Duration = Duration::hours(24);

/// A job that is to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSubmission {
    /// Our identifier for it, which goes along to the provider.
    pub job_id: JobId,
    /// Who is to run it.
    pub provider: String,
    /// What is run.
    pub order: Order,
    /// The name of the training configuration.
    pub config_name: Option<String>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it is handed over at most.
    pub max_attempts: u32,
    /// By which the same submission is known when it comes again.
    pub idempotency_key: Option<String>,
    /// What it is expected to cost.
    pub estimated_cost_micro_usd: Option<i64>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Enqueued {
    /// The job: the new one, or the one that came with the same key.
    pub job: Job,
    /// Whether it was there before.
    pub is_repeat: bool,
    /// What is to be told.
    pub events: Vec<LoggedEvent>,
}

/// Stores a job that is to be submitted.
///
/// # Errors
/// Where its key came with another request, too many wait, or the database fails.
pub fn enqueue(
    connection: &mut Connection,
    new: &NewSubmission,
    prices: &Prices,
    now: Timestamp,
) -> Result<Enqueued, StoreError> {
    connection.write(|connection| {
        if let Some(job) = known_by_key(connection, new, now)? {
            if !is_same_request(connection, &job, new)? {
                return Err(StoreError::KeyReused(job.job_id));
            }
            return Ok(Enqueued { job, is_repeat: true, events: Vec::new() });
        }
        let pending = totals(connection)?.pending;
        if pending >= PENDING_MAX {
            return Err(StoreError::QueueFull { pending });
        }
        let job = insert_job(connection, new, prices, now)?;
        let mut log = EventAppender::lock(connection, now)?;
        let event = Event::JobDiscovered {
            job_id: &job.job_id,
            status: job.status,
            source: Source::User,
            job: JobView::new(&job, prices, now),
        };
        log.append(connection, &event)?;
        tell(connection, &mut log, "queued", Some(&Moved::to(&job.job_id, QueueStatus::Pending)))?;
        let events = log.finish(connection)?;
        Ok(Enqueued { job, is_repeat: false, events })
    })
}

fn insert_job(
    connection: &mut Connection,
    new: &NewSubmission,
    prices: &Prices,
    now: Timestamp,
) -> Result<Job, StoreError> {
    let mut job = Job {
        config_name: new.config_name.clone(),
        run_name: new.order.run_name(),
        user_id: new.user_id.clone(),
        model: new.order.target.model().map(str::to_owned),
        ..Job::submitted(new.job_id.clone(), &new.provider, now)
    };
    prices.apply(&mut job);
    jobs::insert(connection, &job)?;
    let row = NewEntry::new(new, now);
    on_each_backend!(connection, |c| {
        diesel::insert_into(queue_entries::table).values(&row).execute(c)
    })?;
    Ok(job)
}

/// Queues another attempt at a job that failed by its provider's fault, where there may be one. None where
/// there may not: it was the last one, its end was asked for, or its secrets are gone.
pub(super) fn try_again(
    connection: &mut Connection,
    failed: &Job,
    prices: &Prices,
    now: Timestamp,
) -> Result<Option<Job>, StoreError> {
    let Some(entry) = find(connection, &failed.job_id)? else { return Ok(None) };
    let order = order_of(connection, &failed.job_id)?;
    let may_be = entry.attempt < entry.max_attempts
        && failed.cancel_requested_at.is_none()
        && order.secrets.is_empty();
    let job_id = next_attempt_id(&failed.job_id);
    if !may_be || jobs::find(connection, &job_id)?.is_some() {
        return Ok(None);
    }
    let new = NewSubmission {
        job_id: job_id.clone(),
        provider: failed.provider.clone(),
        order,
        config_name: failed.config_name.clone(),
        user_id: failed.user_id.clone(),
        priority: entry.effective_priority(),
        max_attempts: entry.max_attempts,
        idempotency_key: None,
        estimated_cost_micro_usd: entry.estimated_cost_micro_usd,
    };
    let job = insert_job(connection, &new, prices, now)?;
    on_each_backend!(connection, |c| {
        diesel::update(queue_entries::table.filter(queue_entries::job_id.eq(&job_id.0)))
            .set((
                queue_entries::attempt.eq(i64::from(entry.attempt)),
                queue_entries::not_before.eq(to_micros(now + back_off(entry.attempt, None))),
                queue_entries::error_message.eq(&failed.error_message),
                queue_entries::retry_of.eq(&failed.job_id.0),
            ))
            .execute(c)
    })?;
    Ok(Some(job))
}

/// The job that came with the same key: a key belongs to a provider and a user.
fn known_by_key(
    connection: &mut Connection,
    new: &NewSubmission,
    now: Timestamp,
) -> Result<Option<Job>, StoreError> {
    let Some(key) = &new.idempotency_key else { return Ok(None) };
    let since = to_micros(now - KEY_HOLDS);
    let known: Vec<(String, Option<String>)> = on_each_backend!(&mut *connection, |c| {
        queue_entries::table
            .inner_join(schema::jobs::table)
            .filter(queue_entries::idempotency_key.eq(key))
            .filter(queue_entries::queued_at.gt(since))
            .filter(schema::jobs::provider.eq(&new.provider))
            .order(queue_entries::id.desc())
            .select((queue_entries::job_id, schema::jobs::user_id))
            .load(c)
    })?;
    match known.into_iter().find(|(_, user_id)| *user_id == new.user_id) {
        Some((id, _)) => jobs::find(connection, &JobId(id)),
        None => Ok(None),
    }
}

/// Whether a job was submitted by the same request. Where its webhooks go is not compared, since that may come
/// from a setting; secrets are not, since they are not stored.
fn is_same_request(
    connection: &mut Connection,
    job: &Job,
    new: &NewSubmission,
) -> Result<bool, StoreError> {
    let entry = find(connection, &job.job_id)?;
    let order = order_of(connection, &job.job_id)?;
    let is_same_entry = entry.is_some_and(|entry| {
        (entry.priority, entry.max_attempts) == (new.priority, new.max_attempts)
    });
    let order = Order { webhook_url: new.order.webhook_url.clone(), ..order };
    Ok(is_same_entry && job.config_name == new.config_name && order == new.order)
}

/// A job that is to be handed over now: its intent is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Which job.
    pub job_id: JobId,
    /// Who is to run it.
    pub provider: String,
    /// What is run.
    pub order: Order,
    /// Which attempt this is, from 1 on.
    pub attempt: u32,
    /// How many there are at most.
    pub max_attempts: u32,
    /// When by the provider's clock the newest job was created that was known before.
    pub newest_known_at: Option<Timestamp>,
}

/// Takes up to `at_most` of the next ones out of the queue, as many as may be under way, and stores that they are being
/// handed over. From then on each is under way until it is known not to be.
///
/// # Errors
/// Where the database fails.
pub fn claim(
    connection: &mut Connection,
    limits: Limits,
    at_most: usize,
    now: Timestamp,
) -> Result<(Vec<Claim>, Vec<LoggedEvent>), StoreError> {
    if totals(connection)?.pending == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    connection.write(|connection| {
        let limits = in_force(connection, limits)?;
        let entries = open(connection)?;
        let schedule = Schedule::new(&entries, limits, now);
        let mut log = EventAppender::lock(connection, now)?;
        let mut claims = Vec::new();
        for entry in schedule.next().take(at_most) {
            let newest_known_at = jobs::newest_known_at(connection, &entry.provider)?;
            let attempt = entry.attempt + 1;
            on_each_backend!(&mut *connection, |c| {
                diesel::update(queue_entries::table.filter(queue_entries::id.eq(entry.id)))
                    .set((
                        queue_entries::status.eq(QueueStatus::Submitting.as_str()),
                        queue_entries::submitted_at.eq(to_micros(now)),
                        queue_entries::newest_known_at.eq(newest_known_at.map(to_micros)),
                        queue_entries::not_before.eq(None::<i64>),
                        queue_entries::attempt.eq(i64::from(attempt)),
                    ))
                    .execute(c)
            })?;
            let moved = Moved::to(&entry.job_id, QueueStatus::Submitting);
            tell(connection, &mut log, "submitting", Some(&moved))?;
            claims.push(Claim {
                job_id: entry.job_id.clone(),
                provider: entry.provider.clone(),
                order: order_of(connection, &entry.job_id)?,
                attempt,
                max_attempts: entry.max_attempts,
                newest_known_at,
            });
        }
        Ok((claims, log.finish(connection)?))
    })
}

/// What is done with a job that the provider certainly does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is handed over again.
    Again {
        /// Not before this.
        not_before: Timestamp,
        /// Whether this attempt counts.
        counts: bool,
    },
    /// It has failed. One of these jobs of the provider may be it, where nobody could tell.
    Never(Vec<String>),
}

impl Refusal {
    /// The provider's jobs of which one may be it.
    pub fn suspects(&self) -> &[String] {
        match self {
            Self::Again { .. } => &[],
            Self::Never(suspects) => suspects,
        }
    }
}

/// Stores that the provider does not have a job that was being handed over, and why. One whose end was
/// asked for meanwhile has ended with that. Nothing changes where it turned out meanwhile that the provider
/// does have it.
///
/// # Errors
/// Where the database fails.
pub fn refuse(
    connection: &mut Connection,
    job_id: &JobId,
    refusal: &Refusal,
    words: &str,
    prices: &Prices,
    now: Timestamp,
) -> Result<Recorded, StoreError> {
    connection.write(|connection| {
        let Some(entry) = find(connection, job_id)? else { return Ok(Recorded::default()) };
        if entry.status != QueueStatus::Submitting {
            return Ok(Recorded::default());
        }
        let job = jobs::get(connection, job_id)?;
        let (not_before, counts) = match refusal {
            _ if job.cancel_requested_at.is_some() => {
                let report = Report::of_ours(&job, Source::User, JobStatus::Cancelled, None, now);
                return record_within(connection, &[report], prices, now);
            }
            Refusal::Never(suspects) => {
                suspect(connection, job_id, suspects)?;
                let words = Some(words.to_owned());
                let report = Report::of_ours(&job, Source::Queue, JobStatus::Failed, words, now);
                return record_within(connection, &[report], prices, now);
            }
            Refusal::Again { not_before, counts } => (not_before, counts),
        };
        let attempt = if *counts { entry.attempt } else { entry.attempt.saturating_sub(1) };
        on_each_backend!(&mut *connection, |c| {
            diesel::update(queue_entries::table.filter(queue_entries::id.eq(entry.id)))
                .set((
                    queue_entries::status.eq(QueueStatus::Pending.as_str()),
                    queue_entries::not_before.eq(to_micros(*not_before)),
                    queue_entries::attempt.eq(i64::from(attempt)),
                    queue_entries::error_message.eq(words),
                ))
                .execute(c)
        })?;
        let mut log = EventAppender::lock(connection, now)?;
        let moved =
            Moved { reason: Some(words.to_owned()), ..Moved::to(job_id, QueueStatus::Pending) };
        tell(connection, &mut log, "retrying", Some(&moved))?;
        Ok(Recorded { events: log.finish(connection)?, has_written: true, ..Recorded::default() })
    })
}

/// Remembers which jobs of the provider may be one that fails since nobody can tell: none of them is taken
/// for another submission later.
fn suspect(
    connection: &mut Connection,
    job_id: &JobId,
    suspects: &[String],
) -> Result<(), StoreError> {
    if suspects.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_string(suspects).expect("a list of texts has a JSON form");
    on_each_backend!(connection, |c| {
        diesel::update(queue_entries::table.filter(queue_entries::job_id.eq(&job_id.0)))
            .set(queue_entries::suspects.eq(json))
            .execute(c)
    })?;
    Ok(())
}

/// What became of the wish to end a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// It had not been handed over, and has ended: no provider is to be asked.
    Ended(Job),
    /// The wish is stored. The provider is to be asked, once it is known to have the job.
    Requested(Job),
}

/// Stores that a user wants a job to end.
///
/// # Errors
/// Where there is none, it has ended, or the database fails.
pub fn cancel(
    connection: &mut Connection,
    job_id: &JobId,
    prices: &Prices,
    now: Timestamp,
) -> Result<(Cancelled, Recorded), StoreError> {
    connection.write(|connection| {
        let job = jobs::get(connection, job_id)?;
        if job.status.is_terminal() {
            let status = job.status;
            return Err(StoreError::Finished { job_id: job.job_id, status });
        }
        let entry = find(connection, job_id)?;
        if job.provider_job_id.is_none()
            && entry.is_none_or(|entry| entry.status == QueueStatus::Pending)
        {
            let report = Report::of_ours(&job, Source::User, JobStatus::Cancelled, None, now);
            let recorded = record_within(connection, &[report], prices, now)?;
            return Ok((Cancelled::Ended(jobs::get(connection, job_id)?), recorded));
        }
        if job.cancel_requested_at.is_some() {
            return Ok((Cancelled::Requested(job), Recorded::default()));
        }
        let recorded = change_cancel_request(connection, &job, Some(now), prices, now)?;
        Ok((Cancelled::Requested(jobs::get(connection, job_id)?), recorded))
    })
}

/// Takes back the wish to end a job, which the provider will not hear of.
///
/// # Errors
/// Where there is no such job, or the database fails.
pub fn withdraw_cancel(
    connection: &mut Connection,
    job_id: &JobId,
    prices: &Prices,
    now: Timestamp,
) -> Result<Recorded, StoreError> {
    connection.write(|connection| {
        let job = jobs::get(connection, job_id)?;
        change_cancel_request(connection, &job, None, prices, now)
    })
}

fn change_cancel_request(
    connection: &mut Connection,
    job: &Job,
    at: Option<Timestamp>,
    prices: &Prices,
    now: Timestamp,
) -> Result<Recorded, StoreError> {
    jobs::set_cancel_requested(connection, &job.job_id, at)?;
    let job = Job { cancel_requested_at: at, ..job.clone() };
    let mut log = EventAppender::lock(connection, now)?;
    let event = Event::JobUpdated {
        job_id: &job.job_id,
        status: job.status,
        source: Source::User,
        job: JobView::new(&job, prices, now),
    };
    log.append(connection, &event)?;
    Ok(Recorded { events: log.finish(connection)?, has_written: true, ..Recorded::default() })
}

/// Makes a job that waits more or less urgent; None is as urgent as it was submitted.
///
/// # Errors
/// Where it does not wait in the queue, or the database fails.
pub fn prioritize(
    connection: &mut Connection,
    job_id: &JobId,
    priority: Option<Priority>,
    now: Timestamp,
) -> Result<(QueueEntry, QueueEntry, Vec<LoggedEvent>), StoreError> {
    connection.write(|connection| {
        let before = get(connection, job_id)?;
        if before.status != QueueStatus::Pending {
            let (job_id, status) = (before.job_id, before.status);
            return Err(StoreError::NotWaiting { job_id, status });
        }
        on_each_backend!(&mut *connection, |c| {
            diesel::update(queue_entries::table.filter(queue_entries::id.eq(before.id)))
                .set(queue_entries::priority_override.eq(priority.map(Priority::number)))
                .execute(c)
        })?;
        let mut log = EventAppender::lock(connection, now)?;
        tell(connection, &mut log, "priority", Some(&Moved::to(job_id, before.status)))?;
        let after = QueueEntry { priority_override: priority, ..before.clone() };
        Ok((before, after, log.finish(connection)?))
    })
}

/// What of the queue can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueSetting {
    /// Whether nobody is handed over.
    Paused(bool),
    /// How many jobs may be under way, of all and of one user, as far as they are to change.
    Limits {
        /// Of all.
        max_concurrent: Option<usize>,
        /// Of one user.
        user_max_concurrent: Option<usize>,
    },
}

/// Changes a setting of the queue, which survives a restart.
///
/// # Errors
/// Where the database fails.
pub fn configure(
    connection: &mut Connection,
    setting: QueueSetting,
    now: Timestamp,
) -> Result<Vec<LoggedEvent>, StoreError> {
    connection.write(|connection| {
        let change = match setting {
            QueueSetting::Paused(is_paused) => {
                let value = is_paused.then_some("true");
                settings::set(connection, Setting::QueuePaused, value)?;
                if is_paused { "paused" } else { "resumed" }
            }
            QueueSetting::Limits { max_concurrent, user_max_concurrent } => {
                let given = [
                    (Setting::QueueMaxConcurrent, max_concurrent),
                    (Setting::QueueUserMaxConcurrent, user_max_concurrent),
                ];
                for (setting, limit) in given {
                    if let Some(limit) = limit {
                        settings::set(connection, setting, Some(&limit.to_string()))?;
                    }
                }
                "limits"
            }
        };
        let mut log = EventAppender::lock(connection, now)?;
        tell(connection, &mut log, change, None)?;
        log.finish(connection)
    })
}

/// Deletes the entries of jobs that ended before an instant, and answers how many. The jobs stay.
///
/// # Errors
/// Where the database fails.
pub fn clean_up(connection: &mut Connection, before: Timestamp) -> Result<usize, StoreError> {
    let open = QueueStatus::OPEN.map(QueueStatus::as_str);
    Ok(on_each_backend!(connection, |c| {
        let ended = queue_entries::table
            .filter(queue_entries::status.ne_all(open))
            .filter(queue_entries::completed_at.lt(to_micros(before)));
        diesel::delete(ended).execute(c)
    })?)
}

/// An entry that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    job_id: JobId,
    status: QueueStatus,
    reason: Option<String>,
}

impl Moved {
    pub(super) fn to(job_id: &JobId, status: QueueStatus) -> Self {
        Self { job_id: job_id.clone(), status, reason: None }
    }
}

/// The provider has taken a job. None where the queue does not have it.
pub(super) fn accept(
    connection: &mut Connection,
    job_id: &JobId,
    now: Timestamp,
) -> Result<Option<Moved>, StoreError> {
    let changed = on_each_backend!(connection, |c| {
        diesel::update(queue_entries::table.filter(queue_entries::job_id.eq(&job_id.0)))
            .set((
                queue_entries::status.eq(QueueStatus::Running.as_str()),
                queue_entries::started_at.eq(to_micros(now)),
                queue_entries::not_before.eq(None::<i64>),
                queue_entries::error_message.eq(None::<String>),
            ))
            .execute(c)
    })?;
    Ok((changed > 0).then(|| Moved::to(job_id, QueueStatus::Running)))
}

/// A job has ended. None where the queue does not have it.
pub(super) fn end(
    connection: &mut Connection,
    job: &Job,
    now: Timestamp,
) -> Result<Option<Moved>, StoreError> {
    let status = QueueStatus::of_job(job.status);
    let changed = on_each_backend!(connection, |c| {
        diesel::update(queue_entries::table.filter(queue_entries::job_id.eq(&job.job_id.0)))
            .set((
                queue_entries::status.eq(status.as_str()),
                queue_entries::completed_at.eq(to_micros(now)),
                queue_entries::not_before.eq(None::<i64>),
                queue_entries::error_message.eq(&job.error_message),
            ))
            .execute(c)
    })?;
    let reason = job.error_message.clone();
    Ok((changed > 0).then(|| Moved { reason, ..Moved::to(&job.job_id, status) }))
}

/// Tells that the queue has changed, where it has: `moved` is the entry, and None without an entry of it.
pub(super) fn tell(
    connection: &mut Connection,
    log: &mut EventAppender,
    change: &'static str,
    moved: Option<&Moved>,
) -> Result<(), StoreError> {
    let is_of_entry = !matches!(change, "paused" | "resumed" | "limits");
    if moved.is_none() && is_of_entry {
        return Ok(());
    }
    let Totals { pending, running } = totals(connection)?;
    log.append(
        connection,
        &Event::QueueChanged {
            change,
            job_id: moved.map(|moved| &moved.job_id),
            queue_status: moved.map(|moved| moved.status),
            reason: moved.and_then(|moved| moved.reason.as_deref()),
            total_pending: pending,
            total_running: running,
        },
    )
}
