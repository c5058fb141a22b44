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

/// What [`prune`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// How many webhooks were forgotten.
    pub pruned: usize,
    /// The id from which to go on; None at the end.
    pub next: Option<String>,
}

/// Looks at up to `limit` webhooks after the id `after`, or from the first, and forgets those from
/// before `before`, which no sender repeats any more.
///
/// # Errors
/// Where the database fails.
pub fn prune(
    connection: &mut Connection,
    before: Timestamp,
    after: Option<&str>,
    limit: i64,
) -> Result<Walked, StoreError> {
    let page: Vec<(String, i64)> = on_each_backend!(&mut *connection, |c| {
        let mut page = webhook_deliveries::table
            .order(webhook_deliveries::webhook_id.asc())
            .limit(limit)
            .select((webhook_deliveries::webhook_id, webhook_deliveries::received_at))
            .into_boxed();
        if let Some(after) = after {
            page = page.filter(webhook_deliveries::webhook_id.gt(after));
        }
        page.load(c)
    })?;
    let is_full = page.len() as i64 == limit;
    let next = page.last().filter(|_| is_full).map(|(id, _)| id.clone());
    let before = to_micros(before);
    let old: Vec<_> = page.iter().filter(|(_, at)| *at < before).map(|(id, _)| id).collect();
    let pruned = if old.is_empty() {
        0
    } else {
        let old = webhook_deliveries::table.filter(webhook_deliveries::webhook_id.eq_any(old));
        on_each_backend!(connection, |c| diesel::delete(old).execute(c))?
    };
    Ok(Walked { pruned, next })
}

#[cfg(test)]
mod tests {
    use super::super::connection::Role;
    use super::*;
    use crate::config::DatabaseUrl;
    use crate::domain::timestamp::from_micros;

    #[test]
    fn an_id_is_new_once_and_again_when_it_was_forgotten() {
        let memory = DatabaseUrl::Sqlite(":memory:".into());
        let mut connection = Connection::open(&memory, Role::Writer).expect("a database");
        connection.migrate().expect("tables");
        let mut note = |at| note(&mut connection, "msg", from_micros(at)).expect("a note");
        assert_eq!((note(5), note(6)), (true, false));
        let mut forget = |before| {
            let walked = prune(&mut connection, from_micros(before), None, 10);
            walked.expect("pruning").pruned
        };
        assert_eq!((forget(5), forget(6), forget(7)), (0, 1, 0));
        assert!(super::note(&mut connection, "msg", from_micros(8)).expect("a note"));
    }
}
