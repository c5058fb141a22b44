//! How a job lies in its table.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::Text;

use super::schema::jobs;
use crate::domain::job::{Job, JobId, JobStatus, JobType};
use crate::domain::timestamp::{from_micros, to_micros};

/// A row of `jobs`.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = jobs, primary_key(job_id))]
// Every statement names every column, so that there is one of each, which is prepared once.
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct JobRow {
    job_id: String,
    job_type: String,
    provider: String,
    provider_job_id: Option<String>,
    status: String,
    provider_status: Option<String>,
    config_name: Option<String>,
    model: Option<String>,
    version: Option<String>,
    hardware_type: Option<String>,
    user_id: Option<String>,
    web_url: Option<String>,
    created_at: i64,
    provider_created_at: Option<i64>,
    first_seen_at: i64,
    started_at: Option<i64>,
    completed_at: Option<i64>,
    status_since: Option<i64>,
    confirmed_at: Option<i64>,
    predict_time_micros: Option<i64>,
    cost_micro_usd: Option<i64>,
    error_message: Option<String>,
    output_url: Option<String>,
    progress: Option<String>,
    provenance: String,
}

/// Writes a whole row over that of its job.
///
/// Diesel prepares an UPDATE anew each time, since in general its columns differ from one to the
/// next. Here they never do, and preparing so many columns takes longer than writing them.
pub(super) struct UpdateJob<'a> {
    job_id: &'a str,
    columns: <&'a JobRow as AsChangeset>::Changeset,
}

impl<'a> UpdateJob<'a> {
    pub(super) fn new(row: &'a JobRow) -> Self {
        Self { job_id: &row.job_id, columns: row.as_changeset() }
    }
}

impl<'a, DB> QueryFragment<DB> for UpdateJob<'a>
where
    DB: Backend,
    str: ToSql<Text, DB>,
    <&'a JobRow as AsChangeset>::Changeset: QueryFragment<DB>,
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

impl From<&Job> for JobRow {
    fn from(job: &Job) -> Self {
        Self {
            job_id: job.job_id.0.clone(),
            job_type: job.job_type.as_str().to_owned(),
            provider: job.provider.clone(),
            provider_job_id: job.provider_job_id.clone(),
            status: job.status.as_str().to_owned(),
            provider_status: job.provider_status.clone(),
            config_name: job.config_name.clone(),
            model: job.model.clone(),
            version: job.version.clone(),
            hardware_type: job.hardware_type.clone(),
            user_id: job.user_id.clone(),
            web_url: job.web_url.clone(),
            created_at: to_micros(job.created_at),
            provider_created_at: job.provider_created_at.map(to_micros),
            first_seen_at: to_micros(job.first_seen_at),
            started_at: job.started_at.map(to_micros),
            completed_at: job.completed_at.map(to_micros),
            status_since: job.status_since.map(to_micros),
            confirmed_at: job.confirmed_at.map(to_micros),
            predict_time_micros: job.predict_time_micros,
            cost_micro_usd: job.cost_micro_usd,
            error_message: job.error_message.clone(),
            output_url: job.output_url.clone(),
            progress: job.progress.as_ref().map(as_json),
            provenance: as_json(&job.provenance),
        }
    }
}

impl From<JobRow> for Job {
    /// Words that only a newer or a foreign program can have written are read as the nearest thing
    /// that does no harm, and logged: one strange row must not hide all the others.
    fn from(row: JobRow) -> Self {
        let status = row.status.parse().unwrap_or_else(|error| {
            log::error!("job {} has a status that is none: {error}", row.job_id);
            JobStatus::Pending
        });
        Self {
            job_type: row.job_type.parse().unwrap_or(JobType::Cloud),
            status,
            progress: row.progress.as_deref().and_then(|json| from_json(json, &row.job_id)),
            provenance: from_json(&row.provenance, &row.job_id).unwrap_or_default(),
            job_id: JobId(row.job_id),
            provider: row.provider,
            provider_job_id: row.provider_job_id,
            provider_status: row.provider_status,
            config_name: row.config_name,
            model: row.model,
            version: row.version,
            hardware_type: row.hardware_type,
            user_id: row.user_id,
            web_url: row.web_url,
            created_at: from_micros(row.created_at),
            provider_created_at: row.provider_created_at.map(from_micros),
            first_seen_at: from_micros(row.first_seen_at),
            started_at: row.started_at.map(from_micros),
            completed_at: row.completed_at.map(from_micros),
            status_since: row.status_since.map(from_micros),
            confirmed_at: row.confirmed_at.map(from_micros),
            predict_time_micros: row.predict_time_micros,
            cost_micro_usd: row.cost_micro_usd,
            error_message: row.error_message,
            output_url: row.output_url,
        }
    }
}

fn as_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data has a JSON form")
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str, job_id: &str) -> Option<T> {
    serde_json::from_str(json)
        .map_err(|error| log::error!("job {job_id} has unreadable JSON in the database: {error}"))
        .ok()
}
