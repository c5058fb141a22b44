//! The texts of jobs that are too long to go along with them.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::schema::job_texts;
use crate::domain::job::JobId;
use crate::domain::job_texts::JobText;

/// Keeps the whole of a text, in place of what was kept.
///
/// # Errors
/// Where the database fails.
pub fn keep(
    connection: &mut Connection,
    id: &JobId,
    text: JobText,
    whole: &str,
) -> Result<(), StoreError> {
    forget(connection, id, text)?;
    let row = (
        job_texts::job_id.eq(&id.0),
        job_texts::field.eq(text.as_str()),
        job_texts::whole.eq(whole),
    );
    on_each_backend!(connection, |c| diesel::insert_into(job_texts::table).values(row).execute(c))?;
    Ok(())
}

/// Forgets a text: the job carries all of it.
///
/// # Errors
/// Where the database fails.
pub fn forget(connection: &mut Connection, id: &JobId, text: JobText) -> Result<(), StoreError> {
    let row = job_texts::table.find((&id.0, text.as_str()));
    on_each_backend!(connection, |c| diesel::delete(row).execute(c))?;
    Ok(())
}

/// The whole of a text; None where none is kept.
///
/// # Errors
/// Where the database fails.
pub fn get(
    connection: &mut Connection,
    id: &JobId,
    text: JobText,
) -> Result<Option<String>, StoreError> {
    let row = job_texts::table.find((&id.0, text.as_str())).select(job_texts::whole);
    Ok(on_each_backend!(connection, |c| row.get_result(c).optional())?)
}
