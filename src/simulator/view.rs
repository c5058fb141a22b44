//! A job as the API shows it: in answers, in lists and in webhooks.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::job::{Job, Moment};
use super::oddity::{disfigure, raw};
use super::status::JobKind;

/// What the shape of an answer depends on besides the job.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// With `/v1`, without a slash at the end.
    pub(super) base_url: String,
    /// How long after its end a job keeps input, output and log.
    pub(super) retention: TimeDelta,
    /// How long after its end the log is archived, which costs it its last newline.
    pub(super) archive: TimeDelta,
}

/// The wire form of a prediction or training.
#[derive(Clone, Debug, Serialize)]
pub(super) struct JobView {
    pub(super) id: Value,
    pub(super) model: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    pub(super) input: Box<RawValue>,
    pub(super) output: Value,
    pub(super) data_removed: bool,
    pub(super) error: Box<RawValue>,
    status: String,
    pub(super) created_at: String,
    pub(super) started_at: Option<String>,
    pub(super) completed_at: Option<String>,
    /// Absent in lists; null once the data is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logs: Option<Value>,
    pub(super) metrics: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
    source: &'static str,
    urls: Value,
}

impl Site {
    /// The job as a single answer or a webhook shows it.
    pub(super) fn show(&self, job: &Job, now: DateTime<Utc>) -> JobView {
        let moment = job.at(now);
        let is_removed = self.is_removed(&moment, now);
        let logs =
            if is_removed { Value::Null } else { Value::String(self.log(job, &moment, now)) };
        let has_ended = moment.status.is_terminal();
        let mut view = JobView { logs: Some(logs), ..self.list_item(job, moment, is_removed) };
        disfigure(&mut view, &job.oddities, has_ended, false);
        view
    }

    /// The job as a list shows it: without its log.
    pub(super) fn show_in_list(&self, job: &Job, now: DateTime<Utc>) -> JobView {
        let moment = job.at(now);
        let is_removed = self.is_removed(&moment, now);
        let has_ended = moment.status.is_terminal();
        let mut view = self.list_item(job, moment, is_removed);
        disfigure(&mut view, &job.oddities, has_ended, true);
        view
    }

    fn list_item(&self, job: &Job, moment: Moment, is_removed: bool) -> JobView {
        let metrics = metrics(job.created_at, &moment);
        JobView {
            id: job.id.clone().into(),
            model: job.model.clone(),
            version: job.version.clone(),
            destination: job.destination.clone(),
            input: raw(if is_removed { json!({}) } else { job.input.clone() }.to_string()),
            output: if is_removed { Value::Null } else { moment.output },
            data_removed: is_removed,
            error: raw(json!(moment.error).to_string()),
            status: moment.status.into(),
            created_at: timestamp(job.created_at),
            started_at: moment.started_at.map(timestamp),
            completed_at: moment.completed_at.map(timestamp),
            logs: None,
            metrics,
            deadline: job.deadline.map(timestamp),
            source: "api",
            urls: self.urls(job),
        }
    }

    fn log(&self, job: &Job, moment: &Moment, now: DateTime<Utc>) -> String {
        let mut log = job.log_at(now);
        let is_archived = moment.completed_at.is_some_and(|end| now - end >= self.archive);
        if is_archived && log.ends_with('\n') {
            log.pop();
        }
        log
    }

    fn is_removed(&self, moment: &Moment, now: DateTime<Utc>) -> bool {
        moment.completed_at.is_some_and(|end| now - end >= self.retention)
    }

    fn urls(&self, job: &Job) -> Value {
        let list = match job.kind {
            JobKind::Prediction => "predictions",
            JobKind::Training => "trainings",
        };
        let get = format!("{}/{list}/{}", self.base_url, job.id);
        json!({
            "cancel": format!("{get}/cancel"),
            "get": get,
            "stream": format!("https://stream.replicate.com/v1/files/{}", job.id),
            "web": format!("https://replicate.com/p/{}", job.id),
        })
    }
}

/// Seconds of the run and since the creation; an aborted job has no run, an unfinished one neither.
fn metrics(created_at: DateTime<Utc>, moment: &Moment) -> Value {
    let Some(end) = moment.completed_at else {
        return json!({});
    };
    let total_time = (end - created_at).as_seconds_f64();
    match moment.started_at {
        Some(start) => {
            json!({"predict_time": (end - start).as_seconds_f64(), "total_time": total_time})
        }
        None => json!({"total_time": total_time}),
    }
}

/// RFC 3339 with 2 to 9 fractional digits: zeros at the end are cut off, as the real provider does.
pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    let mut text = at.format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    let shortest = text.len() - 7;
    while text.len() > shortest && text.ends_with('0') {
        text.pop();
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_as_many_digits_as_it_needs_but_two_at_least() {
        let at = |nanoseconds| timestamp(DateTime::from_timestamp_nanos(nanoseconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.00Z");
        assert_eq!(at(120_000_000), "1970-01-01T00:00:00.12Z");
        assert_eq!(at(123_456_000), "1970-01-01T00:00:00.123456Z");
        assert_eq!(at(1), "1970-01-01T00:00:00.000000001Z");
    }
}
