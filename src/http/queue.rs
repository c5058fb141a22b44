//! The queue of jobs that wait for their provider, and what is under way.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use std::collections::HashMap;

use chrono::Duration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gateway;
use super::error::ApiError;
use super::job_path::JobPath;
use super::query::{Query, require_json};
use crate::actors::dispatcher::ProcessQueue;
use crate::actors::job_reader::Read;
use crate::actors::job_reader::queue::{GetQueue, GetQueueEntry, ListEndedEntries, QueueSnapshot};
use crate::actors::job_store::queue::{CleanUpQueue, ConfigureQueue, Prioritize};
use crate::db::queue::QueueSetting;
use crate::domain::job::{JobId, UnknownWord};
use crate::domain::job_view::Place;
use crate::domain::queue::{Limits, Priority, QueueEntry, QueueStatus, Schedule, estimate_waits};
use crate::domain::queue_view::{EntryView, median};
use crate::domain::timestamp::now;

/// Whether users take turns. There are no teams either: all jobs are of one, whose limit is that of all.
const FAIR_SHARE: bool = false;
/// How many jobs may be under way at most.
const CONCURRENT_MAX: usize = 10_000;

pub(super) fn unknown_value(field: &'static str, unknown: UnknownWord) -> ApiError {
    ApiError::UnknownValue { field, word: unknown.word, allowed: unknown.allowed }
}

/// A priority as clients give it: by name or by number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PriorityWord {
    Number(i64),
    Name(String),
}

impl PriorityWord {
    pub(super) fn read(self) -> Result<Priority, ApiError> {
        match self {
            Self::Number(number) => Priority::new(number).ok_or_else(|| ApiError::BadValue {
                field: "priority".to_owned(),
                problem: format!("{number} is not a whole number from 0 to 50"),
            }),
            Self::Name(name) => {
                Priority::named(&name).map_err(|unknown| unknown_value("priority", unknown))
            }
        }
    }
}

/// States of SimpleTuner's queue that an entry never has here: nothing needs an approval, and what is ready goes.
const NEVER_HERE: [&str; 2] = ["blocked", "ready"];

/// Which entries a list shows.
struct Wanted {
    statuses: Vec<QueueStatus>,
    limit: usize,
    offset: usize,
}

impl Wanted {
    fn read(parameters: &Query<'_>) -> Result<Self, ApiError> {
        let statuses = match parameters.text("status") {
            Some(words) => words
                .split(',')
                .map(str::trim)
                .filter(|word| !NEVER_HERE.contains(word))
                .map(str::parse::<QueueStatus>)
                .collect::<Result<_, _>>()
                .map_err(|unknown| unknown_value("status", unknown))?,
            None if parameters.flag("include_completed")? => QueueStatus::ALL.to_vec(),
            None => QueueStatus::OPEN.to_vec(),
        };
        Ok(Self {
            statuses,
            limit: parameters.integer("limit", 1..=200, 50)? as usize,
            offset: parameters.integer("offset", 0..=u32::MAX, 0)? as usize,
        })
    }
}

/// `GET /api/queue`
///
/// What is under way first, then those that wait in their order, then those that have ended.
pub(super) async fn list(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let Wanted { statuses, limit, offset } = Wanted::read(&Query::of(&request))?;
    let snapshot = snapshot(&gateway).await?;
    let queue = Queue::new(&snapshot);
    let mut entries: Vec<_> =
        queue.in_order().into_iter().filter(|entry| statuses.contains(&entry.status)).collect();
    let open = entries.len();
    entries.drain(..offset.min(open));
    entries.truncate(limit);
    let mut shown: Vec<_> = entries.into_iter().map(|entry| json!(queue.view(entry))).collect();
    let ended: Vec<_> = statuses.into_iter().filter(|status| !status.is_open()).collect();
    if !ended.is_empty() && shown.len() < limit {
        let question = ListEndedEntries {
            statuses: ended,
            offset: offset.saturating_sub(open) as i64,
            limit: (limit - shown.len()) as i64,
        };
        let ended = gateway.asker.ask(&gateway.reader, Read(question)).await?;
        shown.extend(ended.iter().map(|entry| json!(queue.view(entry))));
    }
    Ok(Json(json!({
        "entries": shown,
        "total_pending": snapshot.count(QueueStatus::Pending),
        "total_running": snapshot.under_way(),
        "is_paused": snapshot.limits.is_paused,
    })))
}

/// `GET /api/queue/stats`
pub(super) async fn stats(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let snapshot = snapshot(&gateway).await?;
    let by_status: serde_json::Map<_, _> = QueueStatus::ALL
        .into_iter()
        .map(|status| (status.as_str().to_owned(), snapshot.total(status).into()))
        .collect();
    let mut by_user: std::collections::BTreeMap<&str, usize> = Default::default();
    for user in snapshot.entries.iter().filter_map(|entry| entry.user_id.as_deref()) {
        *by_user.entry(user).or_default() += 1;
    }
    let waits = &snapshot.past_waits_seconds;
    let avg_wait_seconds =
        (!waits.is_empty()).then(|| waits.iter().sum::<f64>() / waits.len() as f64);
    let Limits { max_concurrent, user_max_concurrent, is_paused } = snapshot.limits;
    Ok(Json(json!({
        "by_status": by_status,
        "by_user": by_user,
        "queue_depth": snapshot.count(QueueStatus::Pending),
        "running": snapshot.under_way(),
        "avg_wait_seconds": avg_wait_seconds,
        "usual_run_seconds": median(&snapshot.past_runs_seconds),
        "max_concurrent": max_concurrent,
        "user_max_concurrent": user_max_concurrent,
        "team_max_concurrent": max_concurrent,
        "enable_fair_share": FAIR_SHARE,
        "is_paused": is_paused,
        "is_enabled": gateway.config.queue_processing.enabled,
        "interval_seconds": gateway.config.queue_processing.interval_seconds,
    })))
}

/// `GET /api/queue/position/{job_id}`
pub(super) async fn position(id: JobPath, gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let question = GetQueueEntry(id.0);
    let entry = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let snapshot = snapshot(&gateway).await?;
    let queue = Queue::new(&snapshot);
    let view = queue.view(&entry);
    Ok(Json(json!({
        "job_id": entry.job_id,
        "position": view.position,
        "status": entry.status,
        "priority": entry.effective_priority().name(),
        "queued_at": entry.queued_at,
        "estimated_wait_seconds": view.estimated_wait_seconds,
        "waiting_for": view.waiting_for,
        "waiting_because": view.waiting_because,
    })))
}

/// Everything that may still change in the queue, and what is usual.
pub(super) async fn snapshot(gateway: &Gateway) -> Result<QueueSnapshot, ApiError> {
    let limits = gateway.config.queue.limits();
    gateway.asker.ask(&gateway.reader, Read(GetQueue { limits })).await
}

/// The places of the jobs that wait.
pub(super) async fn places(gateway: &Gateway) -> Result<HashMap<JobId, Place>, ApiError> {
    let snapshot = snapshot(gateway).await?;
    let queue = Queue::new(&snapshot);
    Ok(snapshot.entries.iter().filter_map(|entry| queue.place(&entry.job_id)).collect())
}

/// The queue at one moment, as clients see it.
pub(super) struct Queue<'a> {
    snapshot: &'a QueueSnapshot,
    schedule: Schedule<'a>,
    waits: HashMap<JobId, f64>,
}

impl<'a> Queue<'a> {
    pub(super) fn new(snapshot: &'a QueueSnapshot) -> Self {
        let now = now();
        let QueueSnapshot { entries, limits, .. } = snapshot;
        let usual_seconds = median(&snapshot.past_runs_seconds);
        Self {
            snapshot,
            schedule: Schedule::new(entries, *limits, now),
            waits: estimate_waits(entries, *limits, now, usual_seconds),
        }
    }

    /// What is under way, in the order in which it came, then those that wait in theirs.
    pub(super) fn in_order(&self) -> Vec<&'a QueueEntry> {
        let mut entries: Vec<_> = self.snapshot.entries.iter().collect();
        entries.sort_by_key(|entry| (self.schedule.position(&entry.job_id), entry.id));
        entries
    }

    /// A job's place among those that wait, where it has one.
    fn place(&self, job_id: &JobId) -> Option<(JobId, Place)> {
        let estimated_wait_seconds = self.waits.get(job_id).copied();
        let position = self.schedule.position(job_id)?;
        Some((job_id.clone(), Place { position, estimated_wait_seconds }))
    }

    /// An entry in its place.
    pub(super) fn view<'b>(&self, entry: &'b QueueEntry) -> EntryView<'b> {
        let wait = self.waits.get(&entry.job_id).copied();
        EntryView::new(entry, &self.schedule, wait)
    }
}

/// New limits. What is not given stays; SimpleTuner's other limits have no meaning here.
#[derive(Debug, Deserialize)]
pub(super) struct Concurrency {
    max_concurrent: Option<usize>,
    user_max_concurrent: Option<usize>,
}

/// `POST /api/queue/concurrency`
pub(super) async fn concurrency(
    request: HttpRequest,
    payload: Payload,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let Concurrency { max_concurrent, user_max_concurrent } =
        require_json(&request, payload).await?;
    let given = [("max_concurrent", max_concurrent), ("user_max_concurrent", user_max_concurrent)];
    for (field, limit) in given {
        if limit.is_some_and(|limit| !(1..=CONCURRENT_MAX).contains(&limit)) {
            let problem = format!("a whole number from 1 to {CONCURRENT_MAX} is needed");
            return Err(ApiError::BadValue { field: field.to_owned(), problem });
        }
    }
    let setting = QueueSetting::Limits { max_concurrent, user_max_concurrent };
    gateway.asker.ask(&gateway.store, ConfigureQueue(setting)).await?;
    let Limits { max_concurrent, user_max_concurrent, .. } = snapshot(&gateway).await?.limits;
    Ok(Json(json!({
        "success": true,
        "max_concurrent": max_concurrent,
        "user_max_concurrent": user_max_concurrent,
        "team_max_concurrent": max_concurrent,
        "enable_fair_share": FAIR_SHARE,
    })))
}

/// `POST /api/queue/pause`
pub(super) async fn pause(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    set_paused(&gateway, true).await
}

/// `POST /api/queue/resume`
pub(super) async fn resume(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    set_paused(&gateway, false).await
}

async fn set_paused(gateway: &Gateway, is_paused: bool) -> Result<Json<Value>, ApiError> {
    let setting = QueueSetting::Paused(is_paused);
    gateway.asker.ask(&gateway.store, ConfigureQueue(setting)).await?;
    Ok(Json(json!({"success": true, "is_paused": is_paused})))
}

/// `POST /api/queue/process`
pub(super) async fn process(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let job_ids = gateway.asker.ask(&gateway.dispatcher, ProcessQueue).await?;
    Ok(Json(json!({"success": true, "dispatched": job_ids.len(), "job_ids": job_ids})))
}

/// `POST /api/queue/cleanup`
pub(super) async fn clean_up(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let days = Query::of(&request).integer("days", 1..=365, 30)?;
    let before = now() - Duration::days(days.into());
    let deleted = gateway.asker.ask(&gateway.store, CleanUpQueue { before }).await?;
    Ok(Json(json!({"success": true, "deleted": deleted, "days": days})))
}

/// A new priority; null is as it was submitted.
#[derive(Debug, Deserialize)]
pub(super) struct NewPriority {
    priority: Option<PriorityWord>,
}

/// `POST /api/queue/{id}/priority`
pub(super) async fn prioritize(
    request: HttpRequest,
    payload: Payload,
    id: JobPath,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let NewPriority { priority } = require_json(&request, payload).await?;
    let priority = priority.map(PriorityWord::read).transpose()?;
    let message = Prioritize { job_id: id.0, priority };
    let (before, after) = gateway.asker.ask(&gateway.store, message).await?;
    Ok(Json(json!({
        "success": true,
        "job_id": after.job_id,
        "previous_effective_priority": before.effective_priority(),
        "new_effective_priority": after.effective_priority(),
        "priority_override": after.priority_override,
    })))
}
