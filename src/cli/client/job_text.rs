//! Jobs, as people read them.

use jobsyncd::domain::timestamp::Timestamp;
use serde_json::Value;

use super::table::{Column, fields, table};
use super::words::{UNKNOWN, age, clean, grouped, money, short_span, span};

const COLUMNS: [Column; 6] = [
    Column::left("JOB"),
    Column::left("NAME").cut(),
    Column::left("STATUS"),
    Column::right("TIME"),
    Column::right("COST"),
    Column::right("AGE").optional(),
];

/// A page of jobs, as a table and with what there is to say about it.
pub(super) fn list(page: &Value, offset: u64, now: Timestamp, width: Option<usize>) -> String {
    let jobs = page["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let total = page["total"].as_u64().unwrap_or(jobs.len() as u64);
    if jobs.is_empty() {
        return match total {
            0 => "no jobs".to_owned(),
            total => format!("no jobs from {} on: {} in all", grouped(offset), grouped(total)),
        };
    }
    let rows: Vec<_> = jobs.iter().map(|job| row(job, now)).collect();
    let mut text = table(&COLUMNS, &rows, width);
    let last = offset + jobs.len() as u64;
    if last < total || offset > 0 {
        let (first, last, total) = (grouped(offset + 1), grouped(last), grouped(total));
        text.push_str(&format!("\njobs {first} to {last} of {total}"));
    }
    text
}

fn row(job: &Value, now: Timestamp) -> Vec<String> {
    let is_estimate = job["cost_is_estimate"].as_bool().unwrap_or(false);
    vec![
        word(&job["job_id"]),
        name(job),
        status_and_percent(job),
        job["duration_seconds"].as_f64().map_or(UNKNOWN.to_owned(), span),
        money(&job["cost_usd"], is_estimate),
        age(&job["created_at"], now),
    ]
}

/// A text of the job, or that there is none.
pub(super) fn word(value: &Value) -> String {
    let text = value.as_str().map(clean).filter(|text| !text.is_empty());
    text.unwrap_or_else(|| UNKNOWN.to_owned())
}

/// What the job is called: by its configuration, else by its model.
pub(super) fn name(job: &Value) -> String {
    let config_name = word(&job["config_name"]);
    if config_name != UNKNOWN {
        return config_name;
    }
    // Its owner is the same for most jobs, and takes the room of what tells them apart.
    let model = word(&job["metadata"]["model"]);
    model.rsplit('/').next().map_or(UNKNOWN.to_owned(), str::to_owned)
}

/// The state, and how much is done where that says something.
fn status_and_percent(job: &Value) -> String {
    let status = word(&job["status"]);
    match job["progress"]["progress"].as_f64() {
        Some(percent) if status == "running" => format!("{status} {percent:.0}%"),
        _ => status,
    }
}

/// One job, in full.
pub(super) fn detail(job: &Value, now: Timestamp) -> String {
    let is_estimate = job["cost_is_estimate"].as_bool().unwrap_or(false);
    let instant = |key: &str| match job[key].as_str() {
        Some(text) => format!("{} ({} ago)", clean(text), age(&job[key], now)),
        None => UNKNOWN.to_owned(),
    };
    let all = [
        ("job", word(&job["job_id"])),
        ("name", name(job)),
        ("status", status(job)),
        ("progress", progress(&job["progress"])),
        ("provider", word(&job["provider"])),
        ("model", word(&job["metadata"]["model"])),
        ("hardware", word(&job["hardware_type"])),
        ("created", instant("created_at")),
        ("started", instant("started_at")),
        ("completed", instant("completed_at")),
        ("time", job["duration_seconds"].as_f64().map_or(UNKNOWN.to_owned(), span)),
        ("cost", money(&job["cost_usd"], is_estimate)),
        ("output", word(&job["output_url"])),
        ("error", word(&job["error_message"])),
        ("page", word(&job["metadata"]["web_url"])),
    ];
    let known: Vec<_> = all.into_iter().filter(|(_, value)| value != UNKNOWN).collect();
    fields(&known)
}

/// The state, with what a person may want to look after.
fn status(job: &Value) -> String {
    let status = word(&job["status"]);
    if job["provider_status"] == "gone" {
        return format!("{status} (the provider does not know it any more)");
    }
    if let Some(since) = job["stalled_since"].as_str() {
        return format!("{status} (no step since {})", clean(since));
    }
    match job["queue_position"].as_u64() {
        Some(position) => format!("{status} (at place {} of the queue)", grouped(position)),
        None => status,
    }
}

/// How far a run is: percent, step or stage, loss and time left, as far as they are known.
pub(super) fn progress(progress: &Value) -> String {
    let percent = progress["progress"].as_f64().map(|percent| format!("{percent:.0}%"));
    let loss = progress["loss"].as_f64().map(|loss| format!("loss {loss:.4}"));
    let step = step(progress).map(|step| format!("step {step}"));
    // Before the first step the stage says more.
    let step = step.or_else(|| progress["stage"].as_str().map(clean));
    let parts: Vec<_> = [percent, step, loss, left(progress)].into_iter().flatten().collect();
    if parts.is_empty() { UNKNOWN.to_owned() } else { parts.join(", ") }
}

/// The same in half a line.
pub(super) fn brief_progress(progress: &Value) -> String {
    let percent = progress["progress"].as_f64().map(|percent| format!("{percent:>3.0}%"));
    let loss = progress["loss"].as_f64().map(|loss| format!("loss {loss:.3}"));
    let step = step(progress).or_else(|| progress["stage"].as_str().map(clean));
    let parts: Vec<_> = [percent, step, loss, left(progress)].into_iter().flatten().collect();
    parts.join(" ")
}

fn step(progress: &Value) -> Option<String> {
    let step = grouped(progress["step"].as_u64()?);
    Some(match progress["total_steps"].as_u64() {
        Some(total) => format!("{step}/{}", grouped(total)),
        None => step,
    })
}

fn left(progress: &Value) -> Option<String> {
    progress["eta_seconds"].as_f64().map(|seconds| format!("{} left", short_span(seconds)))
}

/// How a job ended, in one line.
pub(super) fn ending(job: &Value) -> String {
    let mut line = format!("{} {}", word(&job["job_id"]), word(&job["status"]));
    if let Some(seconds) = job["duration_seconds"].as_f64() {
        line.push_str(&format!(" after {}", span(seconds)));
    }
    let is_estimate = job["cost_is_estimate"].as_bool().unwrap_or(false);
    let cost = money(&job["cost_usd"], is_estimate);
    if cost != UNKNOWN {
        line.push_str(&format!(", {cost}"));
    }
    for key in ["error_message", "output_url"] {
        let told = word(&job[key]);
        if told != UNKNOWN {
            line.push_str(&format!(": {told}"));
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use jobsyncd::domain::timestamp::parse;
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        parse("2026-03-01T12:00:00Z").expect("an instant")
    }

    fn job() -> Value {
        json!({
            "job_id": "ddrkq0v5y9rma0cwz2k9v6mxbr", "status": "running", "provider": "replicate",
            "config_name": "watercolour-lora-of-my-grandmother's-garden", "cost_usd": 12.345, "cost_is_estimate": true,
            "created_at": "2026-03-01T10:00:00Z", "started_at": "2026-03-01T10:00:05Z",
            "completed_at": null, "duration_seconds": 7195.0, "error_message": null, "output_url": null,
            "metadata": {"model": "simpletuner/advanced-trainer"},
            "progress": {"progress": 45.2, "step": 1904, "total_steps": 2000, "loss": 0.0713, "eta_seconds": 190.0},
        })
    }

    #[test]
    fn a_list_fits_a_terminal_of_eighty_columns() {
        let page = json!({"jobs": [job()], "total": 1});
        let said = list(&page, 0, now(), Some(80));
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
        let line = said.lines().nth(1).expect("a job");
        assert!(line.starts_with("ddrkq0v5y9rma0cwz2k9v6mxbr  watercolour-lora…  "), "{said}");
        assert!(line.ends_with("  running 45%  1h 59m  ~$12.35   2h"), "{said}");
        // The id of a job that was submitted here is longer.
        let mut job = job();
        job["job_id"] = json!("0193b0c4-7a51-7e07-9d2b-0f6a3f1f7c11");
        let page = json!({"jobs": [job], "total": 1});
        let said = list(&page, 0, now(), Some(80));
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
        assert!(
            said.contains("-0f6a3f1f7c11  watercolour…  running 45%  1h 59m  ~$12.35"),
            "{said}"
        );
    }

    #[test]
    fn a_page_of_more_says_which_part_it_is() {
        let page = json!({"jobs": [job(), job()], "total": 1250});
        let said = list(&page, 50, now(), None);
        assert!(said.ends_with("\njobs 51 to 52 of 1,250"), "{said}");
        assert_eq!(list(&json!({"jobs": [], "total": 0}), 0, now(), None), "no jobs");
        let beyond = list(&json!({"jobs": [], "total": 3}), 50, now(), None);
        assert_eq!(beyond, "no jobs from 50 on: 3 in all");
    }

    #[test]
    fn a_job_is_shown_with_what_is_known_of_it() {
        let said = detail(&job(), now());
        assert!(said.contains("progress  45%, step 1,904/2,000, loss 0.0713, 3m left"), "{said}");
        assert!(said.contains("created   2026-03-01T10:00:00Z (2h ago)"), "{said}");
        assert!(!said.contains("output") && !said.contains("error"), "{said}");
    }

    #[test]
    fn before_a_bar_of_ten_there_is_room_for_the_progress_in_eighty_columns() {
        let said = brief_progress(&job()["progress"]);
        assert_eq!(said, " 45% 1,904/2,000 loss 0.071 3m left");
        assert!(26 + " [] ".len() + 10 + said.len() <= 80);
        assert_eq!(brief_progress(&json!({"stage": "Preprocessing"})), "Preprocessing");
    }

    #[test]
    fn a_job_without_a_name_is_called_by_its_model_and_one_without_anything_by_a_dash() {
        let mut job = job();
        job["config_name"] = Value::Null;
        assert_eq!(name(&job), "advanced-trainer");
        assert_eq!(name(&json!({})), "-");
    }

    #[test]
    fn the_line_of_an_end_says_why() {
        let failed = json!({"job_id": "a", "status": "failed", "duration_seconds": 61.0,
            "error_message": "CUDA out\nof memory", "output_url": null});
        assert_eq!(ending(&failed), "a failed after 1m 01s: CUDA out of memory");
        let done = json!({"job_id": "a", "status": "completed", "cost_usd": 1.5, "output_url": "https://x"});
        assert_eq!(ending(&done), "a completed, $1.50: https://x");
    }

    #[test]
    fn what_needs_a_person_is_said_with_the_state() {
        let stalled = json!({"status": "running", "stalled_since": "2026-03-01T10:00:00Z"});
        assert_eq!(status(&stalled), "running (no step since 2026-03-01T10:00:00Z)");
        let gone = json!({"status": "running", "provider_status": "gone"});
        assert!(status(&gone).contains("does not know it"));
        let waiting = json!({"status": "pending", "queue_position": 3});
        assert_eq!(status(&waiting), "pending (at place 3 of the queue)");
    }
}
