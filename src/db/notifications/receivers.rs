//! Receivers that are left alone for a while, since they failed or asked for it.

use diesel::prelude::*;

use super::super::connection::Connection;
use super::super::error::StoreError;
use super::super::on_each_backend;
use super::super::schema::notification_receivers;

/// How often a receiver has failed in a row, and until when it is left alone.
pub(super) fn rest(
    connection: &mut Connection,
    receiver: &str,
) -> Result<Option<(i64, i64)>, StoreError> {
    Ok(on_each_backend!(connection, |c| {
        notification_receivers::table
            .find(receiver)
            .select((notification_receivers::failures, notification_receivers::resumes_at))
            .first(c)
            .optional()
    })?)
}

/// Has a receiver left alone until an instant, after so many failures in a row.
pub(super) fn set_rest(
    connection: &mut Connection,
    receiver: &str,
    failures: i64,
    resumes_at: i64,
) -> Result<(), StoreError> {
    on_each_backend!(connection, |c| {
        diesel::insert_into(notification_receivers::table)
            .values((
                notification_receivers::receiver.eq(receiver),
                notification_receivers::failures.eq(failures),
                notification_receivers::resumes_at.eq(resumes_at),
            ))
            .on_conflict(notification_receivers::receiver)
            .do_update()
            .set((
                notification_receivers::failures.eq(failures),
                notification_receivers::resumes_at.eq(resumes_at),
            ))
            .execute(c)
    })?;
    Ok(())
}

/// The receiver takes messages.
pub(super) fn end_rest(connection: &mut Connection, receiver: &str) -> Result<(), StoreError> {
    on_each_backend!(connection, |c| {
        diesel::delete(notification_receivers::table.find(receiver)).execute(c)
    })?;
    Ok(())
}
