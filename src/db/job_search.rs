//! What jobs are found by: their texts, folded, in a narrow table of their own.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::row::JobRow;
use super::schema::{job_search, jobs};
use crate::domain::job::Job;
use crate::domain::job_query::{folded, searched_text};

/// How many jobs are made findable in one transaction.
const FILLED_AT_ONCE: i64 = 1_000;

/// Makes a job findable that was just stored.
///
/// # Errors
/// Where the database fails.
pub(super) fn insert(connection: &mut Connection, job: &Job) -> Result<(), StoreError> {
    let row =
        (job_search::job_id.eq(&job.job_id.0), job_search::folded.eq(folded(&searched_text(job))));
    on_each_backend!(connection, |c| {
        diesel::insert_into(job_search::table).values(row).execute(c)
    })?;
    Ok(())
}

/// Follows a change of a job, where that changed what it is found by.
///
/// # Errors
/// Where the database fails.
pub(super) fn update(
    connection: &mut Connection,
    known: &Job,
    job: &Job,
) -> Result<(), StoreError> {
    let text = searched_text(job);
    // Nearly always, and folding takes longer than comparing.
    if text == searched_text(known) {
        return Ok(());
    }
    let row = job_search::table.find(&job.job_id.0);
    on_each_backend!(connection, |c| {
        diesel::update(row).set(job_search::folded.eq(folded(&text))).execute(c)
    })?;
    Ok(())
}

/// Makes those jobs findable that an earlier version has stored.
///
/// # Errors
/// Where the database fails.
pub fn fill(connection: &mut Connection) -> Result<(), StoreError> {
    let (of_jobs, findable): (i64, i64) = on_each_backend!(&mut *connection, |c| {
        jobs::table
            .count()
            .get_result(c)
            .and_then(|of_jobs| Ok((of_jobs, job_search::table.count().get_result(c)?)))
    })?;
    if of_jobs == findable {
        return Ok(());
    }
    loop {
        let filled = connection.write(|connection| {
            let has_row =
                diesel::dsl::exists(job_search::table.filter(job_search::job_id.eq(jobs::job_id)));
            let rows: Vec<JobRow<'_>> = on_each_backend!(&mut *connection, |c| {
                jobs::table
                    .filter(diesel::dsl::not(has_row))
                    .select(JobRow::as_select())
                    .limit(FILLED_AT_ONCE)
                    .load(c)
            })?;
            let count = rows.len();
            for row in rows {
                insert(connection, &Job::from(row))?;
            }
            Ok::<_, StoreError>(count)
        })?;
        if filled == 0 {
            return Ok(());
        }
        log::info!("{filled} jobs of an earlier version can be searched for now");
    }
}

/// The pattern by which a text is found in what is stored folded, wherever it stands there.
pub(super) fn pattern(text: &str) -> String {
    let escaped = folded(text).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
