//! Questions of the dashboard: what one of its views shows, looked up with one message.

use std::collections::HashMap;

use super::Question;
use crate::db::connection::Connection;
use crate::db::error::StoreError;
use crate::db::events::{self, FoundEvents};
use crate::db::metrics::{self, DayOfJobs};
use crate::db::{job_series, jobs};
use crate::domain::activity::ActivityQuery;
use crate::domain::event::Seq;
use crate::domain::job::{Job, JobId, JobStatus};
use crate::domain::job_query::JobQuery;
use crate::domain::progress::PackedSeries;
use crate::domain::timestamp::Timestamp;

/// Jobs with their curves.
#[derive(Debug, Clone, Default)]
pub struct JobRows {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The curves of those that have any.
    pub series: HashMap<JobId, PackedSeries>,
}

impl JobRows {
    fn look_up(connection: &mut Connection, jobs: Vec<Job>) -> Result<Self, StoreError> {
        let ids: Vec<_> = jobs.iter().map(|job| &job.job_id).collect();
        let series = job_series::find_all(connection, &ids)?;
        Ok(Self { jobs, series })
    }
}

/// A page of jobs with their curves, and how many there are in each state.
#[derive(Debug, Clone)]
pub struct GetJobsView {
    /// Which jobs.
    pub query: JobQuery,
    /// From when on jobs are summed by day.
    pub since: Timestamp,
    /// Whether the curves are wanted as well.
    pub with_series: bool,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct JobsView {
    /// The page.
    pub rows: JobRows,
    /// How many jobs match in all.
    pub total: i64,
    /// How many match in each state, whichever states are asked for.
    pub counts: Vec<(JobStatus, i64)>,
    /// How many jobs there are in each state at all.
    pub all_counts: Vec<(JobStatus, i64)>,
    /// Sums over all jobs that were created since then, by day.
    pub days: Vec<DayOfJobs>,
    /// The position in the log of events that this is as new as, at least.
    pub position: Seq,
}

impl Question for GetJobsView {
    type Answer = JobsView;

    fn look_up(self, connection: &mut Connection) -> Result<JobsView, StoreError> {
        // Read first: what comes in between is told again, and nothing is missed.
        let position = events::head(connection)?;
        let (jobs, total) = jobs::list(connection, &self.query)?;
        Ok(JobsView {
            rows: match self.with_series {
                true => JobRows::look_up(connection, jobs)?,
                false => JobRows { jobs, ..JobRows::default() },
            },
            total,
            counts: jobs::counts(connection, &self.query)?,
            all_counts: jobs::counts(connection, &JobQuery::default())?,
            days: metrics::by_day(connection, self.since, None)?,
            position,
        })
    }
}

/// Those of these jobs that there are, with their curves.
#[derive(Debug, Clone)]
pub struct GetJobRows(pub Vec<JobId>);

impl Question for GetJobRows {
    type Answer = JobRows;

    fn look_up(self, connection: &mut Connection) -> Result<JobRows, StoreError> {
        let jobs = jobs::find_all(connection, &self.0)?;
        JobRows::look_up(connection, jobs)
    }
}

/// The active job that its provider confirmed longest ago, or never.
#[derive(Debug, Clone)]
pub struct GetLeastConfirmed;

impl Question for GetLeastConfirmed {
    type Answer = Option<Job>;

    fn look_up(self, connection: &mut Connection) -> Result<Option<Job>, StoreError> {
        jobs::least_confirmed(connection)
    }
}

/// Those of these jobs that there are.
#[derive(Debug, Clone)]
pub struct GetJobs(pub Vec<JobId>);

impl Question for GetJobs {
    type Answer = Vec<Job>;

    fn look_up(self, connection: &mut Connection) -> Result<Vec<Job>, StoreError> {
        jobs::find_all(connection, &self.0)
    }
}

/// The newest events that match.
#[derive(Debug, Clone)]
pub struct ListActivity(pub ActivityQuery);

impl Question for ListActivity {
    type Answer = FoundEvents;

    fn look_up(self, connection: &mut Connection) -> Result<FoundEvents, StoreError> {
        events::newest(connection, &self.0)
    }
}
