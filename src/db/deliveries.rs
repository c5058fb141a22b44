//! Which webhooks have arrived: a sender repeats one of which it does not know the fate.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::schema::webhook_deliveries;
use crate::domain::timestamp::{Timestamp, to_micros};

/// Notes that a webhook has arrived. Answers whether it is the first with its id.
///
/// # Errors
/// Where the database fails.
pub fn note(
    connection: &mut Connection,
    webhook_id: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = on_each_backend!(connection, |c| {
        diesel::insert_into(webhook_deliveries::table)
            .values((
                webhook_deliveries::webhook_id.eq(webhook_id),
                webhook_deliveries::received_at.eq(to_micros(at)),
            ))
            .on_conflict_do_nothing()
            .execute(c)
    })?;
    Ok(inserted == 1)
}

/// Forgets the webhooks from before `before`, which no sender repeats any more.
///
/// # Errors
/// Where the database fails.
pub fn prune(connection: &mut Connection, before: Timestamp) -> Result<usize, StoreError> {
    let old = webhook_deliveries::received_at.lt(to_micros(before));
    Ok(on_each_backend!(connection, |c| {
        diesel::delete(webhook_deliveries::table.filter(old)).execute(c)
    })?)
}
