//! How a job lies in its table.

use std::borrow::Cow;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::Text;

use super::schema::jobs;
use crate::domain::job::{Job, JobId, JobStatus, JobType};
use crate::domain::liveness::Liveness;
use crate::domain::timestamp::{from_micros, to_micros};

/// A row of `jobs`. What is written is borrowed from its job.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = jobs, primary_key(job_id))]
// Every statement names every column, so that there is one of each, which is prepared once.
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct JobRow<'a> {
    job_id: Cow<'a, str>,
    // What a job is, and when it was made, is not written again: SQLite would write every index
    // anew that has such a column, though its value is the same.
    #[diesel(skip_update)]
    job_type: Cow<'a, str>,
    #[diesel(skip_update)]
    provider: Cow<'a, str>,
    #[diesel(skip_update)]
    provider_job_id: Option<Cow<'a, str>>,
    status: Cow<'a, str>,
    provider_status: Option<Cow<'a, str>>,
    config_name: Option<Cow<'a, str>>,
    run_name: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    version: Option<Cow<'a, str>>,
    hardware_type: Option<Cow<'a, str>>,
    user_id: Option<Cow<'a, str>>,
    web_url: Option<Cow<'a, str>>,
    #[diesel(skip_update)]
    created_at: i64,
    provider_created_at: Option<i64>,
    first_seen_at: i64,
    started_at: Option<i64>,
    completed_at: Option<i64>,
    // Set by a statement of its own.
    #[diesel(skip_update)]
    cancel_requested_at: Option<i64>,
    status_since: Option<i64>,
    confirmed_at: Option<i64>,
    predict_time_micros: Option<i64>,
    cost_micro_usd: Option<i64>,
    error_message: Option<Cow<'a, str>>,
    output_url: Option<Cow<'a, str>>,
    progress: Option<String>,
    provenance: String,
    liveness: String,
}

/// Writes a row over that of its job, but for the columns that stay as they were made.
///
/// Diesel prepares an UPDATE anew each time, since in general its columns differ from one to the
/// next. Here they never do, and preparing so many columns takes longer than writing them.
pub(super) struct UpdateJob<'a> {
    job_id: &'a str,
    columns: <&'a JobRow<'a> as AsChangeset>::Changeset,
}

impl<'a> UpdateJob<'a> {
    pub(super) fn new(row: &'a JobRow<'a>) -> Self {
        Self { job_id: &row.job_id, columns: row.as_changeset() }
    }
}

impl<'a, DB> QueryFragment<DB> for UpdateJob<'a>
where
    DB: Backend,
    str: ToSql<Text, DB>,
    <&'a JobRow<'a> as AsChangeset>::Changeset: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE jobs SET ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE job_id = ");
        out.push_bind_param::<Text, _>(self.job_id)
    }
}

impl QueryId for UpdateJob<'_> {
    type QueryId = UpdateJob<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Conn> RunQueryDsl<Conn> for UpdateJob<'_> {}

impl<'a> From<&'a Job> for JobRow<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            job_id: job.job_id.0.as_str().into(),
            job_type: job.job_type.as_str().into(),
            provider: job.provider.as_str().into(),
            provider_job_id: borrowed(&job.provider_job_id),
            status: job.status.as_str().into(),
            provider_status: borrowed(&job.provider_status),
            config_name: borrowed(&job.config_name),
            run_name: borrowed(&job.run_name),
            model: borrowed(&job.model),
            version: borrowed(&job.version),
            hardware_type: borrowed(&job.hardware_type),
            user_id: borrowed(&job.user_id),
            web_url: borrowed(&job.web_url),
            created_at: to_micros(job.created_at),
            provider_created_at: job.provider_created_at.map(to_micros),
            first_seen_at: to_micros(job.first_seen_at),
            started_at: job.started_at.map(to_micros),
            completed_at: job.completed_at.map(to_micros),
            cancel_requested_at: job.cancel_requested_at.map(to_micros),
            status_since: job.status_since.map(to_micros),
            confirmed_at: job.confirmed_at.map(to_micros),
            predict_time_micros: job.predict_time_micros,
            cost_micro_usd: job.cost_micro_usd,
            error_message: borrowed(&job.error_message),
            output_url: borrowed(&job.output_url),
            progress: job.progress.as_ref().map(as_json),
            provenance: as_json(&job.provenance),
            liveness: as_json(&job.liveness),
        }
    }
}

impl From<JobRow<'_>> for Job {
    /// Words that only a newer or a foreign program can have written are read as the nearest thing
    /// that does no harm, and logged: one strange row must not hide all the others.
    fn from(row: JobRow<'_>) -> Self {
        let status = row.status.parse().unwrap_or_else(|error| {
            log::error!("job {} has a status that is none: {error}", row.job_id);
            JobStatus::Pending
        });
        Self {
            job_type: row.job_type.parse().unwrap_or(JobType::Cloud),
            status,
            progress: row.progress.as_deref().and_then(|json| from_json(json, &row.job_id)),
            provenance: from_json(&row.provenance, &row.job_id).unwrap_or_default(),
            liveness: read_liveness(&row.liveness, &row.job_id),
            job_id: JobId(row.job_id.into_owned()),
            provider: row.provider.into_owned(),
            provider_job_id: row.provider_job_id.map(Cow::into_owned),
            provider_status: row.provider_status.map(Cow::into_owned),
            config_name: row.config_name.map(Cow::into_owned),
            run_name: row.run_name.map(Cow::into_owned),
            model: row.model.map(Cow::into_owned),
            version: row.version.map(Cow::into_owned),
            hardware_type: row.hardware_type.map(Cow::into_owned),
            user_id: row.user_id.map(Cow::into_owned),
            web_url: row.web_url.map(Cow::into_owned),
            created_at: from_micros(row.created_at),
            provider_created_at: row.provider_created_at.map(from_micros),
            first_seen_at: from_micros(row.first_seen_at),
            started_at: row.started_at.map(from_micros),
            completed_at: row.completed_at.map(from_micros),
            cancel_requested_at: row.cancel_requested_at.map(from_micros),
            status_since: row.status_since.map(from_micros),
            confirmed_at: row.confirmed_at.map(from_micros),
            predict_time_micros: row.predict_time_micros,
            cost_micro_usd: row.cost_micro_usd,
            error_message: row.error_message.map(Cow::into_owned),
            output_url: row.output_url.map(Cow::into_owned),
        }
    }
}

/// What the column says of a job's liveness.
pub(super) fn read_liveness(json: &str, job_id: &str) -> Liveness {
    from_json(json, job_id).unwrap_or_default()
}

fn borrowed(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::Borrowed)
}

fn as_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data has a JSON form")
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str, job_id: &str) -> Option<T> {
    serde_json::from_str(json)
        .map_err(|error| log::error!("job {job_id} has unreadable JSON in the database: {error}"))
        .ok()
}
