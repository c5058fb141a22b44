//! One message, made of one event of the log. Events are forgotten after a while; messages hold all that
//! they tell.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Topic;

/// How much of an error or name is told, in characters.
const TEXT_CHARS_MAX: usize = 500;

/// What is told, before it has the form that a service wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// What it is about.
    pub topic: Topic,
    /// A stable name for programs, for example `job.completed`.
    pub kind: String,
    /// When it happened, RFC 3339.
    pub at: String,
    /// One line for people.
    pub title: String,
    /// More for people; may be empty.
    pub text: String,
    /// A page about it.
    pub url: Option<String>,
    /// All of it for programs.
    pub data: Map<String, Value>,
}

impl Message {
    /// What an event of the log has to tell, if anything.
    ///
    /// A job that was only just discovered had ended before, unless the provider tells of its end itself: an
    /// import of old jobs tells nobody.
    pub fn of_event(json: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(json).ok()?;
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let (kind, at) = (text("type")?, text("at")?);
        let status = text("status");
        let topic = match (kind, status, text("source")) {
            ("job_status_changed", Some(status), _)
            | ("job_discovered", Some(status), Some("webhook")) => match status {
                "completed" => Topic::Completed,
                "failed" => Topic::Failed,
                "cancelled" => Topic::Cancelled,
                _ => return None,
            },
            ("job_stalled", ..) => Topic::Stalled,
            ("job_gone", ..) => Topic::Gone,
            ("loss_not_finite", ..) => Topic::LossNotFinite,
            ("budget_warning" | "budget_exceeded", ..) => Topic::Budget,
            _ => return None,
        };
        Some(match topic {
            Topic::Budget => Self::of_budget(kind, at, &event),
            topic => Self::of_job(topic, at, &event),
        })
    }

    /// What a channel is sent to try it out.
    pub fn test(at: String) -> Self {
        Self {
            topic: Topic::Completed,
            kind: "test".to_owned(),
            at,
            title: "jobsyncd: this is a test".to_owned(),
            text: "Messages about your jobs arrive here.".to_owned(),
            url: None,
            data: Map::new(),
        }
    }

    fn of_job(topic: Topic, at: &str, event: &Value) -> Self {
        let job = event.get("job").unwrap_or(&Value::Null);
        let text = |key: &str| job.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = text("job_id").or_else(|| event.get("job_id")?.as_str()).unwrap_or_default();
        let name = cut(text("config_name").unwrap_or(id));
        let (word, what) = match topic {
            Topic::Completed => ("completed", "completed".to_owned()),
            Topic::Failed => ("failed", "failed".to_owned()),
            Topic::Cancelled => ("cancelled", "was cancelled".to_owned()),
            Topic::Stalled => ("stalled", "takes no more steps".to_owned()),
            Topic::Gone => ("gone", "is not known to the provider any more".to_owned()),
            Topic::LossNotFinite => {
                let step = event.get("step").and_then(Value::as_u64).unwrap_or(0);
                ("loss_not_finite", format!("has a loss that is no number, at step {step}"))
            }
            Topic::Budget => ("budget", String::new()),
        };
        Self {
            topic,
            kind: format!("job.{word}"),
            at: at.to_owned(),
            title: format!("Job {name} {what}"),
            text: details(job),
            url: job.pointer("/metadata/web_url").and_then(Value::as_str).map(str::to_owned),
            data: told(job, event),
        }
    }

    fn of_budget(kind: &str, at: &str, event: &Value) -> Self {
        let is_exceeded = kind == "budget_exceeded";
        let mut data = event.as_object().cloned().unwrap_or_default();
        data.remove("type");
        let text = data.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            topic: Topic::Budget,
            kind: if is_exceeded { "budget.exceeded" } else { "budget.warning" }.to_owned(),
            at: at.to_owned(),
            title: if is_exceeded { "Spending limit reached" } else { "Spending limit is near" }
                .to_owned(),
            text,
            url: None,
            data,
        }
    }
}

/// What programs are told of a job: the fields of the contract that matter after it has ended.
fn told(job: &Value, event: &Value) -> Map<String, Value> {
    const FIELDS: [&str; 14] = [
        "job_id",
        "provider",
        "status",
        "config_name",
        "user_id",
        "hardware_type",
        "created_at",
        "started_at",
        "completed_at",
        "duration_seconds",
        "cost_usd",
        "error_message",
        "output_url",
        "progress",
    ];
    let field = |key: &&str| ((*key).to_owned(), job.get(*key).cloned().unwrap_or(Value::Null));
    let mut data: Map<_, _> = FIELDS.iter().map(field).collect();
    for key in ["previous", "source", "step", "stalled_since", "missing_since", "seq"] {
        if let Some(value) = event.get(key) {
            data.insert(key.to_owned(), value.clone());
        }
    }
    data.insert("model".to_owned(), json!(job.pointer("/metadata/model")));
    data
}

/// What people are told of a job besides its name and state.
fn details(job: &Value) -> String {
    let text = |key: &str| job.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut lines = Vec::new();
    if let Some(error) = text("error_message") {
        lines.push(cut(error));
    }
    let mut facts = Vec::new();
    if let Some(model) = job.pointer("/metadata/model").and_then(Value::as_str) {
        facts.push(model.to_owned());
    }
    if let Some(seconds) = job.get("duration_seconds").and_then(Value::as_f64) {
        facts.push(duration(seconds));
    }
    if let Some(usd) = job.get("cost_usd").and_then(Value::as_f64) {
        facts.push(format!("${usd:.2}"));
    }
    let at = |key: &str| job.pointer(&format!("/progress/{key}")).and_then(Value::as_u64);
    if let (Some(step), Some(total)) = (at("step"), at("total_steps")) {
        facts.push(format!("step {step} of {total}"));
    }
    if !facts.is_empty() {
        lines.push(facts.join(", "));
    }
    if let Some(output) = text("output_url") {
        lines.push(cut(output));
    }
    lines.join("\n")
}

fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds:.0} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, status: &str, source: &str) -> String {
        json!({
            "type": kind, "at": "2026-03-01T10:00:00Z", "seq": 7, "status": status, "source": source,
            "job_id": "j1", "step": 40, "message": "Approaching limit: $8.00 / $10.00 (daily)",
            "job": {
                "job_id": "j1", "config_name": "cats", "status": status, "duration_seconds": 4_980.0,
                "cost_usd": 7.594, "error_message": "out of memory",
                "metadata": {"model": "a/b", "web_url": "https://x/j1"},
            },
        })
        .to_string()
    }

    #[test]
    fn an_end_is_told_with_what_a_person_wants_to_know() {
        let message =
            Message::of_event(&event("job_status_changed", "failed", "poll")).expect("a message");
        assert_eq!((message.topic, message.kind.as_str()), (Topic::Failed, "job.failed"));
        assert_eq!(message.title, "Job cats failed");
        assert_eq!(message.text, "out of memory\na/b, 1 h 23 min, $7.59");
        assert_eq!(message.url.as_deref(), Some("https://x/j1"));
        assert_eq!((&message.data["job_id"], &message.data["seq"]), (&json!("j1"), &json!(7)));
        let stored = serde_json::to_string(&message).expect("JSON");
        assert_eq!(serde_json::from_str::<Message>(&stored).expect("a message"), message);
    }

    #[test]
    fn what_is_no_news_is_not_told() {
        for (kind, status, source) in [
            ("job_status_changed", "running", "poll"),
            ("job_discovered", "completed", "sync"),
            ("job_discovered", "queued", "webhook"),
            ("job_updated", "completed", "poll"),
            ("queue_changed", "completed", "queue"),
        ] {
            assert_eq!(Message::of_event(&event(kind, status, source)), None, "{kind} {status}");
        }
        // A job so short that its end is the first that the provider tells of it.
        let short = Message::of_event(&event("job_discovered", "completed", "webhook"));
        assert_eq!(short.map(|message| message.topic), Some(Topic::Completed));
    }

    #[test]
    fn every_alarm_has_its_words() {
        for (kind, topic, title) in [
            ("job_stalled", Topic::Stalled, "Job cats takes no more steps"),
            ("job_gone", Topic::Gone, "Job cats is not known to the provider any more"),
            (
                "loss_not_finite",
                Topic::LossNotFinite,
                "Job cats has a loss that is no number, at step 40",
            ),
            ("budget_warning", Topic::Budget, "Spending limit is near"),
            ("budget_exceeded", Topic::Budget, "Spending limit reached"),
        ] {
            let message = Message::of_event(&event(kind, "running", "poll")).expect(kind);
            assert_eq!((message.topic, message.title.as_str()), (topic, title));
        }
    }

    #[test]
    fn long_words_are_cut() {
        let long = event("job_status_changed", "failed", "poll")
            .replace("out of memory", &"é".repeat(5_000));
        let message = Message::of_event(&long).expect("a message");
        assert!(message.text.chars().count() < 600);
    }
}
