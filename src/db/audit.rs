//! Reads the whole database to see whether the log of events and the jobs agree.

use super::connection::Connection;
use super::error::StoreError;
use super::{events, jobs, logs};
use crate::domain::audit::{Finding, LogFold, compare};
use crate::domain::cost::Prices;
use crate::domain::job_view::JobView;
use crate::domain::timestamp::Timestamp;

/// How many rows are read at a time.
const ROWS_AT_ONCE: i64 = 1_000;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audited {
    /// Events.
    pub events: u64,
    /// Jobs.
    pub jobs: u64,
    /// Disagreements.
    pub findings: u64,
}

/// Compares the log with the jobs, all as of one moment, and tells `tell` of each disagreement. A
/// daemon may go on writing meanwhile.
///
/// # Errors
/// Where the database fails.
pub fn audit(
    connection: &mut Connection,
    now: Timestamp,
    mut tell: impl FnMut(&Finding),
) -> Result<Audited, StoreError> {
    let mut audited = Audited::default();
    let mut note = |audited: &mut Audited, findings: Vec<Finding>| {
        audited.findings += findings.len() as u64;
        findings.iter().for_each(&mut tell);
    };
    connection.read(|connection| {
        let mut fold = LogFold::default();
        let mut after = 0;
        loop {
            let page = events::after(connection, after, ROWS_AT_ONCE)?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for event in &page {
                audited.events += 1;
                note(&mut audited, fold.take(event.seq, &event.json));
            }
        }
        let head = events::head(connection)?;
        note(&mut audited, fold.check_head(head).into_iter().collect());

        // Estimates are not compared, so that the prices in force do not matter.
        let prices = Prices::replicate([]);
        let mut after = None;
        loop {
            let page = jobs::after(connection, after.as_ref(), ROWS_AT_ONCE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.job_id.clone());
            for job in &page {
                audited.jobs += 1;
                let Some(told) = fold.take_job(&job.job_id) else {
                    note(&mut audited, fold.untold(&job.job_id, head).into_iter().collect());
                    continue;
                };
                let event = events::find(connection, told.seq)?.unwrap_or_default();
                let view = serde_json::to_value(JobView::new(job, &prices, now))
                    .expect("a job has only string keys");
                note(&mut audited, compare(job, &view, told.seq, &event));
            }
        }
        note(&mut audited, fold.missing());
        let (stored, counted) = (logs::stored_bytes(connection)?, logs::kept_bytes(connection)?);
        if stored != counted {
            note(&mut audited, vec![Finding::LogSize { stored, counted }]);
        }
        Ok(audited)
    })
}
