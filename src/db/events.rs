//! The log of events.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::retention::{BYTES_AT_ONCE, Keep};
use super::schema::{event_head, events};
use crate::domain::activity::ActivityQuery;
use crate::domain::event::{Event, LoggedEvent, Seq};
use crate::domain::job::JobId;
use crate::domain::timestamp::{Timestamp, to_micros};

/// Appends events in one transaction and gives out their positions.
///
/// It locks the head of the log until that transaction ends, so that positions are in the order of
/// commits.
#[derive(Debug)]
pub struct EventAppender {
    last: Seq,
    end_bytes: i64,
    at: Timestamp,
    appended: Vec<LoggedEvent>,
}

#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
struct NewEvent<'a> {
    seq: Seq,
    at: i64,
    kind: &'a str,
    job_id: Option<&'a str>,
    offset_bytes: i64,
    json: &'a str,
}

impl EventAppender {
    /// Locks the head of the log. Call it within a transaction that writes.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn lock(connection: &mut Connection, at: Timestamp) -> Result<Self, StoreError> {
        let head = event_head::table.select((event_head::seq, event_head::end_bytes));
        let (last, end_bytes) = match connection {
            // BEGIN IMMEDIATE has locked the whole file already.
            Connection::Sqlite(c) => head.get_result(c)?,
            Connection::Postgres(c) => head.for_update().get_result(c)?,
        };
        Ok(Self { last, end_bytes, at, appended: Vec::new() })
    }

    /// Appends one event.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn append(
        &mut self,
        connection: &mut Connection,
        event: &Event<'_>,
    ) -> Result<(), StoreError> {
        let seq = self.last + 1;
        let json = event.to_json(seq, self.at);
        let row = NewEvent {
            seq,
            at: to_micros(self.at),
            kind: event.kind(),
            job_id: event.job_id().map(|id| id.0.as_str()),
            offset_bytes: self.end_bytes,
            json: &json,
        };
        on_each_backend!(connection, |c| diesel::insert_into(events::table)
            .values(&row)
            .execute(c))?;
        self.last = seq;
        self.end_bytes += json.len() as i64;
        self.appended.push(LoggedEvent { seq, json: json.into() });
        Ok(())
    }

    /// Moves the head of the log, and answers the events to tell once the transaction is
    /// committed.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn finish(self, connection: &mut Connection) -> Result<Vec<LoggedEvent>, StoreError> {
        if !self.appended.is_empty() {
            let head = (event_head::seq.eq(self.last), event_head::end_bytes.eq(self.end_bytes));
            on_each_backend!(connection, |c| diesel::update(event_head::table)
                .set(head)
                .execute(c))?;
        }
        Ok(self.appended)
    }
}

/// Where the log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The oldest event that is kept; one past the newest where none is.
    pub oldest: Seq,
    /// The position that was given out last; 0 where none was.
    pub newest: Seq,
}

/// Where the log begins and ends.
///
/// # Errors
/// Where the database fails.
pub fn bounds(connection: &mut Connection) -> Result<LogBounds, StoreError> {
    connection.read(extent).map(|extent| extent.bounds)
}

/// Where the log begins and ends, and how large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins and ends.
    pub bounds: LogBounds,
    /// How large it is, in bytes of JSON: a difference of two numbers, whatever the size.
    pub bytes: i64,
}

/// The same and the size, within a transaction.
///
/// # Errors
/// Where the database fails.
pub fn extent(connection: &mut Connection) -> Result<Extent, StoreError> {
    let (newest, end_bytes): (Seq, i64) = on_each_backend!(&mut *connection, |c| {
        event_head::table.select((event_head::seq, event_head::end_bytes)).get_result(c)
    })?;
    let begin: Option<(Seq, i64)> = on_each_backend!(connection, |c| {
        let oldest = events::table.order(events::seq.asc());
        oldest.select((events::seq, events::offset_bytes)).first(c).optional()
    })?;
    let (oldest, begin_bytes) = begin.unwrap_or((newest + 1, end_bytes));
    Ok(Extent { bounds: LogBounds { oldest, newest }, bytes: end_bytes - begin_bytes })
}

/// The position that was given out last; 0 where none was.
///
/// # Errors
/// Where the database fails.
pub fn head(connection: &mut Connection) -> Result<Seq, StoreError> {
    Ok(on_each_backend!(connection, |c| event_head::table.select(event_head::seq).get_result(c))?)
}

/// The event at a position, as JSON.
///
/// # Errors
/// Where the database fails.
pub fn find(connection: &mut Connection, seq: Seq) -> Result<Option<String>, StoreError> {
    Ok(on_each_backend!(connection, |c| {
        events::table.find(seq).select(events::json).get_result(c).optional()
    })?)
}

/// Up to `limit` events after the position `after`, oldest first.
///
/// # Errors
/// Where the database fails.
pub fn after(
    connection: &mut Connection,
    after: Seq,
    limit: i64,
) -> Result<Vec<LoggedEvent>, StoreError> {
    let rows: Vec<(Seq, String)> = on_each_backend!(connection, |c| {
        events::table
            .filter(events::seq.gt(after))
            .order(events::seq.asc())
            .limit(limit)
            .select((events::seq, events::json))
            .load(c)
    })?;
    Ok(rows.into_iter().map(|(seq, json)| LoggedEvent { seq, json: json.into() }).collect())
}

/// How many positions of the log one look for activity goes through: a filter may let very few events
/// pass, and there is no index for it.
const LOOKED_THROUGH: Seq = 20_000;

/// Events that were looked for, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundEvents {
    /// The events, as JSON.
    pub events: Vec<String>,
    /// The position before which to go on; None at the beginning of the log.
    pub next_before: Option<Seq>,
    /// The position that was given out last.
    pub newest: Seq,
}

/// The newest events that match.
///
/// # Errors
/// Where the database fails.
pub fn newest(
    connection: &mut Connection,
    query: &ActivityQuery,
) -> Result<FoundEvents, StoreError> {
    connection.read(|connection| {
        let LogBounds { oldest, newest } = extent(connection)?.bounds;
        let end = query.before.unwrap_or(newest + 1).min(newest + 1);
        let begin = match query.job_id {
            // Of one job there is an index.
            Some(_) => oldest,
            None => (end - LOOKED_THROUGH).max(oldest),
        };
        let rows: Vec<(Seq, String)> = on_each_backend!(connection, |c| {
            let mut found = events::table
                .filter(events::seq.ge(begin))
                .filter(events::seq.lt(end))
                .order(events::seq.desc())
                .limit(query.limit as i64)
                .select((events::seq, events::json))
                .into_boxed();
            if !query.kinds.is_empty() {
                found = found.filter(events::kind.eq_any(&query.kinds));
            }
            if let Some(job_id) = &query.job_id {
                found = found.filter(events::job_id.eq(&job_id.0));
            }
            found.load(c)
        })?;
        let is_full = rows.len() == query.limit;
        let reached = rows.last().filter(|_| is_full).map_or(begin, |(seq, _)| *seq);
        Ok(FoundEvents {
            events: rows.into_iter().map(|(_, json)| json).collect(),
            next_before: Some(reached).filter(|&reached| reached > oldest),
            newest,
        })
    })
}

/// How many events a timeline is made of at most: the newest ones. A job has a handful, unless it is
/// deleted and found again and again.
const TIMELINE_EVENTS_MAX: i64 = 200;

/// The events that say how a job's state changed, oldest first.
///
/// # Errors
/// Where the database fails.
pub fn of_states(connection: &mut Connection, id: &JobId) -> Result<Vec<String>, StoreError> {
    let mut newest_first: Vec<String> = on_each_backend!(connection, |c| {
        events::table
            .filter(events::job_id.eq(&id.0))
            .filter(events::kind.eq_any(Event::OF_STATES))
            .order(events::seq.desc())
            .limit(TIMELINE_EVENTS_MAX)
            .select(events::json)
            .load(c)
    })?;
    newest_first.reverse();
    Ok(newest_first)
}

/// Deletes the oldest events that `keep` lets go, up to `limit` of them, and answers how many.
///
/// # Errors
/// Where the database fails.
pub fn prune(connection: &mut Connection, keep: Keep, limit: i64) -> Result<usize, StoreError> {
    let (end_bytes, oldest): (i64, Vec<(Seq, i64, i64)>) =
        on_each_backend!(&mut *connection, |c| {
            let end_bytes = event_head::table.select(event_head::end_bytes).get_result(c)?;
            let oldest = events::table.order(events::seq.asc()).limit(limit);
            let oldest = oldest.select((events::seq, events::at, events::offset_bytes)).load(c)?;
            QueryResult::Ok((end_bytes, oldest))
        })?;
    let Some(&(_, _, begin_bytes)) = oldest.first() else { return Ok(0) };
    let since = to_micros(keep.since);
    // Positions, times and offsets grow together, so what goes is the beginning of the log.
    let doomed = oldest.into_iter().take_while(|&(_, at, offset_bytes)| {
        let is_let_go = at < since || end_bytes - offset_bytes > keep.max_bytes;
        is_let_go && offset_bytes - begin_bytes < BYTES_AT_ONCE
    });
    let Some((last, ..)) = doomed.last() else { return Ok(0) };
    Ok(on_each_backend!(connection, |c| {
        diesel::delete(events::table.filter(events::seq.le(last))).execute(c)
    })?)
}
