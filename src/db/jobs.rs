//! Queries on jobs.
//!
//! Where a key finds one row at most, no `LIMIT` is asked for (`get_result`, not `first`): SQLite
//! prepares a statement whose limit is a parameter anew each time it runs.

use std::collections::HashMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};

use super::connection::Connection;
use super::error::StoreError;
use super::row::{JobRow, UpdateJob, read_liveness};
use super::schema::job_search as search_table;
use super::schema::{job_logs, job_series, job_texts, jobs};
use super::{job_search, logs, on_each_backend, queue};
use crate::domain::job::{Job, JobId, JobStatus};
use crate::domain::job_query::{JobQuery, JobSort};
use crate::domain::poll_round::{RoundScope, WayToAsk};
use crate::domain::timestamp::{Timestamp, from_micros, to_micros};

/// How many characters of an identifier are enough where only one begins so: fewer are taken for a slip.
pub const PREFIX_CHARS_MIN: usize = 6;
/// How many candidates are named where several do.
const CANDIDATES_MAX: usize = 10;

/// The identifier of the job that `given` means: its own, or else the only one that begins so. Where none does,
/// it is `given` itself: whoever uses it says that there is no such job.
///
/// # Errors
/// Where several begin so, or the database fails.
pub fn resolve(connection: &mut Connection, given: String) -> Result<JobId, StoreError> {
    // PostgreSQL takes no NUL, and no identifier has one.
    if given.contains('\0') {
        return Ok(JobId(given));
    }
    let exact = on_each_backend!(&mut *connection, |c| {
        jobs::table.find(&given).select(jobs::job_id).first::<String>(c).optional()
    })?;
    let chars = given.chars().count();
    if exact.is_some() || chars < PREFIX_CHARS_MIN {
        return Ok(JobId(given));
    }
    let mut candidates = begun_by(connection, &given)?;
    match candidates.len() {
        0 => Ok(JobId(given)),
        1 => Ok(candidates.remove(0)),
        _ => Err(StoreError::Ambiguous { prefix: given, candidates }),
    }
}

/// The jobs whose identifiers begin with a text, at most [`CANDIDATES_MAX`]. Databases do not agree on the order
/// of texts, nor on LIKE, so that this compares the beginnings themselves: over an index of nothing but them.
fn begun_by(connection: &mut Connection, prefix: &str) -> Result<Vec<JobId>, StoreError> {
    let chars = i32::try_from(prefix.chars().count()).unwrap_or(i32::MAX);
    let begins = sql::<Bool>("substr(job_id, 1, ")
        .bind::<Integer, _>(chars)
        .sql(") = ")
        .bind::<Text, _>(prefix.to_owned());
    let found = on_each_backend!(connection, |c| {
        jobs::table
            .filter(begins)
            .select(jobs::job_id)
            .order(jobs::job_id.asc())
            .limit(CANDIDATES_MAX as i64)
            .load::<String>(c)
    })?;
    Ok(found.into_iter().map(JobId).collect())
}

/// The job with this identifier.
///
/// # Errors
/// Where there is none, or the database fails.
pub fn get(connection: &mut Connection, id: &JobId) -> Result<Job, StoreError> {
    find(connection, id)?.ok_or_else(|| StoreError::NotFound(id.clone()))
}

/// The job with this identifier, if there is one.
///
/// # Errors
/// Where the database fails.
pub fn find(connection: &mut Connection, id: &JobId) -> Result<Option<Job>, StoreError> {
    if is_no_text(&id.0) {
        return Ok(None);
    }
    let row: Option<JobRow<'_>> = on_each_backend!(connection, |c| {
        jobs::table.find(&id.0).select(JobRow::as_select()).get_result(c).optional()
    })?;
    Ok(row.map(Job::from))
}

/// The job that `provider` has under `provider_job_id`.
///
/// # Errors
/// Where the database fails.
pub fn find_at_provider(
    connection: &mut Connection,
    provider: &str,
    provider_job_id: &str,
) -> Result<Option<Job>, StoreError> {
    let row: Option<JobRow<'_>> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::provider.eq(provider))
            .filter(jobs::provider_job_id.eq(provider_job_id))
            .select(JobRow::as_select())
            .get_result(c)
            .optional()
    })?;
    Ok(row.map(Job::from))
}

/// Stores a job that is not there yet.
///
/// # Errors
/// Where the database fails.
pub fn insert(connection: &mut Connection, job: &Job) -> Result<(), StoreError> {
    let row = JobRow::from(job);
    on_each_backend!(&mut *connection, |c| {
        diesel::insert_into(jobs::table).values(&row).execute(c)
    })?;
    job_search::insert(connection, job)
}

/// Stores a job that is there as it is now; `known` is how it was.
///
/// # Errors
/// Where the database fails.
pub fn update(connection: &mut Connection, known: &Job, job: &Job) -> Result<(), StoreError> {
    let row = JobRow::from(job);
    on_each_backend!(&mut *connection, |c| UpdateJob::new(&row).execute(c))?;
    job_search::update(connection, known, job)?;
    if job.created_at != known.created_at {
        let created_at = jobs::created_at.eq(to_micros(job.created_at));
        on_each_backend!(connection, |c| {
            diesel::update(jobs::table.find(&job.job_id.0)).set(created_at).execute(c)
        })?;
    }
    Ok(())
}

/// Notes under which identifier the provider has a job that was submitted here.
///
/// # Errors
/// Where the database fails.
pub(super) fn attach(
    connection: &mut Connection,
    id: &JobId,
    provider_job_id: &str,
) -> Result<(), StoreError> {
    let provider_job_id = jobs::provider_job_id.eq(provider_job_id);
    on_each_backend!(connection, |c| {
        diesel::update(jobs::table.find(&id.0)).set(provider_job_id).execute(c)
    })?;
    Ok(())
}

/// Gives what belongs to the job `from` to the job `to`, which has nothing yet.
///
/// # Errors
/// Where the database fails.
pub(super) fn move_belongings(
    connection: &mut Connection,
    from: &JobId,
    to: &JobId,
) -> Result<(), StoreError> {
    on_each_backend!(&mut *connection, |c| {
        diesel::update(job_logs::table.find(&from.0)).set(job_logs::job_id.eq(&to.0)).execute(c)
    })?;
    on_each_backend!(&mut *connection, |c| {
        diesel::update(job_series::table.find(&from.0)).set(job_series::job_id.eq(&to.0)).execute(c)
    })?;
    on_each_backend!(connection, |c| {
        diesel::update(job_texts::table.filter(job_texts::job_id.eq(&from.0)))
            .set(job_texts::job_id.eq(&to.0))
            .execute(c)
    })?;
    Ok(())
}

/// Removes the row of a job that has no belongings, and what depends on it.
///
/// # Errors
/// Where the database fails.
pub(super) fn remove(connection: &mut Connection, id: &JobId) -> Result<(), StoreError> {
    on_each_backend!(connection, |c| diesel::delete(jobs::table.find(&id.0)).execute(c))?;
    Ok(())
}

/// Notes that a user wants a job to end, or that nobody does any more.
///
/// # Errors
/// Where the database fails.
pub(super) fn set_cancel_requested(
    connection: &mut Connection,
    id: &JobId,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let at = jobs::cancel_requested_at.eq(at.map(to_micros));
    on_each_backend!(connection, |c| diesel::update(jobs::table.find(&id.0)).set(at).execute(c))?;
    Ok(())
}

/// When by the provider's clock the newest of its jobs was created that we know.
///
/// # Errors
/// Where the database fails.
pub(super) fn newest_known_at(
    connection: &mut Connection,
    provider: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let newest: Option<i64> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::provider.eq(provider))
            .filter(jobs::provider_created_at.is_not_null())
            .select(diesel::dsl::max(jobs::provider_created_at))
            .get_result(c)
    })?;
    Ok(newest.map(from_micros))
}

/// What we know of a job that the provider has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownJob {
    /// The provider's identifier.
    pub provider_job_id: String,
    /// Ours.
    pub job_id: JobId,
    /// When the provider created it, by its own clock.
    pub provider_created_at: Option<Timestamp>,
    /// It may be a submission that failed since nobody could tell.
    pub is_suspect: bool,
}

/// Those of these jobs of the provider that we know.
///
/// # Errors
/// Where the database fails.
pub fn known_at_provider(
    connection: &mut Connection,
    provider: &str,
    provider_job_ids: &[String],
) -> Result<Vec<KnownJob>, StoreError> {
    let rows: Vec<(String, String, Option<i64>)> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::provider.eq(provider))
            .filter(jobs::provider_job_id.eq_any(provider_job_ids))
            .select((
                jobs::provider_job_id.assume_not_null(),
                jobs::job_id,
                jobs::provider_created_at,
            ))
            .load(c)
    })?;
    let suspects = queue::suspects(connection)?;
    let known = |(provider_job_id, job_id, at): (String, String, Option<i64>)| KnownJob {
        is_suspect: suspects.contains(&provider_job_id),
        provider_job_id,
        job_id: JobId(job_id),
        provider_created_at: at.map(from_micros),
    };
    Ok(rows.into_iter().map(known).collect())
}

/// The jobs whose end a user has asked for and that have not ended, as far as the provider has them.
///
/// # Errors
/// Where the database fails.
pub fn to_cancel(connection: &mut Connection) -> Result<Vec<Job>, StoreError> {
    let rows: Vec<JobRow<'_>> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::cancel_requested_at.is_not_null())
            .filter(jobs::provider_job_id.is_not_null())
            .filter(jobs::status.eq_any(JobStatus::ACTIVE.map(JobStatus::as_str)))
            .select(JobRow::as_select())
            .load(c)
    })?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Deletes a job and its log.
///
/// # Errors
/// Where there is none, it is still active, or the database fails.
pub fn delete(connection: &mut Connection, id: &JobId) -> Result<Job, StoreError> {
    let job = get(connection, id)?;
    if job.status.is_active() {
        return Err(StoreError::StillActive { job_id: id.clone(), status: job.status });
    }
    logs::forget(connection, id)?;
    remove(connection, id)?;
    Ok(job)
}

/// A query with the filters of a [`JobQuery`], but for that of the states. A boxed query cannot be cloned,
/// so the filters are written once and used for each query anew.
macro_rules! filtered {
    ($query:expr, $statement:expr) => {{
        let query: &JobQuery = $query;
        let mut filtered = $statement.into_boxed();
        if let Some(job_type) = query.job_type {
            filtered = filtered.filter(jobs::job_type.eq(job_type.as_str()));
        }
        if let Some(provider) = &query.provider {
            filtered = filtered.filter(jobs::provider.eq(provider));
        }
        if let Some(text) = &query.text {
            let pattern = job_search::pattern(text);
            let found = search_table::table
                .filter(search_table::folded.like(pattern).escape('\\'))
                .select(search_table::job_id);
            filtered = filtered.filter(jobs::job_id.eq_any(found));
        }
        filtered
    }};
}

/// The same, with the filter of the states.
macro_rules! matching {
    ($query:expr, $statement:expr) => {{
        let mut matching = filtered!($query, $statement);
        if !$query.statuses.is_empty() {
            let words: Vec<_> = $query.statuses.iter().map(|status| status.as_str()).collect();
            matching = matching.filter(jobs::status.eq_any(words));
        }
        matching
    }};
}

/// A page of the jobs that match, and how many match in all.
///
/// # Errors
/// Where the database fails.
pub fn list(connection: &mut Connection, query: &JobQuery) -> Result<(Vec<Job>, i64), StoreError> {
    if query.text.as_deref().is_some_and(is_no_text) {
        return Ok((Vec::new(), 0));
    }
    connection.read(|connection| {
        let total = on_each_backend!(&mut *connection, |c| {
            matching!(query, jobs::table.select(diesel::dsl::count_star())).get_result(c)
        })?;
        if total == 0 {
            return Ok((Vec::new(), 0));
        }
        let rows: Vec<JobRow<'_>> = on_each_backend!(connection, |c| {
            let page = matching!(query, jobs::table.select(JobRow::as_select()));
            let page = match query.sort {
                JobSort::Newest => page.order(jobs::created_at.desc()),
                JobSort::Oldest => page.order(jobs::created_at.asc()),
                JobSort::Cost => page
                    .order(jobs::cost_micro_usd.is_null())
                    .then_order_by(jobs::cost_micro_usd.desc()),
                JobSort::Name => {
                    page.order(jobs::config_name.is_null()).then_order_by(jobs::config_name.asc())
                }
            };
            page.then_order_by(jobs::job_id.asc())
                .limit(query.limit.into())
                .offset(query.offset.into())
                .load(c)
        })?;
        Ok((rows.into_iter().map(Job::from).collect(), total))
    })
}

/// How many jobs there are in each state that match but for their state. A state without jobs is left out.
///
/// # Errors
/// Where the database fails.
pub fn counts(
    connection: &mut Connection,
    query: &JobQuery,
) -> Result<Vec<(JobStatus, i64)>, StoreError> {
    if query.text.as_deref().is_some_and(is_no_text) {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, i64)> = on_each_backend!(connection, |c| {
        let by_status = jobs::table.group_by(jobs::status);
        filtered!(query, by_status.select((jobs::status, diesel::dsl::count_star()))).load(c)
    })?;
    let known = |(word, count): (String, i64)| Some((word.parse().ok()?, count));
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Those of these jobs that there are, in no particular order.
///
/// # Errors
/// Where the database fails.
pub fn find_all(connection: &mut Connection, ids: &[JobId]) -> Result<Vec<Job>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| &id.0).filter(|id| !is_no_text(id)).collect();
    let rows: Vec<JobRow<'_>> = on_each_backend!(connection, |c| {
        jobs::table.filter(jobs::job_id.eq_any(ids)).select(JobRow::as_select()).load(c)
    })?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// The active job of a provider that was confirmed longest ago, or never.
///
/// # Errors
/// Where the database fails.
pub fn least_confirmed(connection: &mut Connection) -> Result<Option<Job>, StoreError> {
    let row: Option<JobRow<'_>> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::status.eq_any(JobStatus::ACTIVE.map(JobStatus::as_str)))
            .filter(jobs::provider_job_id.is_not_null())
            .order((jobs::confirmed_at.is_not_null(), jobs::confirmed_at.asc()))
            .select(JobRow::as_select())
            .first(c)
            .optional()
    })?;
    Ok(row.map(Job::from))
}

/// Up to `limit` jobs after the one called `after`, in the order of their identifiers.
///
/// # Errors
/// Where the database fails.
pub fn after(
    connection: &mut Connection,
    after: Option<&JobId>,
    limit: i64,
) -> Result<Vec<Job>, StoreError> {
    let after = after.map_or("", |id| id.0.as_str());
    let rows: Vec<JobRow<'_>> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::job_id.gt(after))
            .order(jobs::job_id.asc())
            .limit(limit)
            .select(JobRow::as_select())
            .load(c)
    })?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// What a round of polling must know of a job that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveJob {
    /// The provider's name.
    pub provider: String,
    /// The provider's identifier of the job.
    pub provider_job_id: String,
    /// How many newer jobs of the provider we know; None where that are more than were counted.
    pub newer_jobs: Option<usize>,
    /// Since when the provider has not known it, where it did not when it was asked last.
    pub missing_since: Option<Timestamp>,
    /// Whether its log is to be read, which no list shows.
    pub wants_log: bool,
}

/// What is read of a job to decide whether a round asks for it.
#[derive(Debug, Queryable)]
struct ActiveRow {
    provider: String,
    provider_job_id: String,
    status: String,
    confirmed_at: Option<i64>,
    liveness: String,
}

impl ActiveRow {
    /// What the round must know of the job, if it asks for it.
    fn in_scope(self, scope: &RoundScope) -> Option<ActiveJob> {
        let Self { provider, provider_job_id, status, confirmed_at, liveness } = self;
        let liveness = read_liveness(&liveness, &provider_job_id);
        let is_running = status == JobStatus::Running.as_str();
        let way = scope.asks(is_running, confirmed_at.map(from_micros), &liveness)?;
        let missing_since = liveness.missing_since();
        let wants_log = way == WayToAsk::ForLog;
        Some(ActiveJob { provider, provider_job_id, newer_jobs: None, missing_since, wants_log })
    }
}

/// How many of the newest jobs are counted to say where an active job stands in the provider's
/// list. Further down a job is asked for by itself, which is cheaper than reading so many pages
/// unless very many are active.
const RANKED_JOBS: i64 = 2_000;

/// The cloud jobs that have not ended, or whose end the provider itself has not confirmed, as far as
/// `scope` holds them; newest first.
///
/// # Errors
/// Where the database fails.
pub fn active(
    connection: &mut Connection,
    scope: &RoundScope,
) -> Result<Vec<ActiveJob>, StoreError> {
    connection.read(|connection| {
        let rows: Vec<ActiveRow> = on_each_backend!(&mut *connection, |c| {
            let words = JobStatus::ACTIVE.map(JobStatus::as_str);
            jobs::table
                .filter(jobs::job_type.eq("cloud"))
                .filter(jobs::provider_job_id.is_not_null())
                .filter(jobs::status.eq_any(words).or(jobs::confirmed_at.is_null()))
                .order((jobs::created_at.desc(), jobs::job_id.asc()))
                .select((
                    jobs::provider,
                    jobs::provider_job_id.assume_not_null(),
                    jobs::status,
                    jobs::confirmed_at,
                    jobs::liveness,
                ))
                .load(c)
        })?;
        let mut active: Vec<_> = rows.into_iter().filter_map(|row| row.in_scope(scope)).collect();
        if active.is_empty() {
            return Ok(active);
        }
        let ranks = ranks(connection)?;
        for job in &mut active {
            let at_provider = (job.provider.clone(), job.provider_job_id.clone());
            job.newer_jobs = ranks.get(&at_provider).copied();
        }
        Ok(active)
    })
}

/// The place of each of the newest jobs among the jobs of its provider, 0 for the newest.
fn ranks(connection: &mut Connection) -> Result<HashMap<(String, String), usize>, StoreError> {
    let newest: Vec<(String, String)> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::provider_job_id.is_not_null())
            .order(jobs::created_at.desc())
            .limit(RANKED_JOBS)
            .select((jobs::provider, jobs::provider_job_id.assume_not_null()))
            .load(c)
    })?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    let ranked = newest.into_iter().map(|at_provider| {
        let count = counts.entry(at_provider.0.clone()).or_default();
        let rank = *count;
        *count += 1;
        (at_provider, rank)
    });
    Ok(ranked.collect())
}

/// Whether the databases can hold no such text: one with a NUL. PostgreSQL takes it for an error,
/// and SQLite's LIKE for the end of the pattern.
fn is_no_text(text: &str) -> bool {
    text.contains('\0')
}
