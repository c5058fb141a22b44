//! A prediction as Replicate writes it, and what its words mean.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use crate::domain::job::JobStatus;
use crate::domain::job_texts::{STATUS_BYTES_MAX, bounded_name};
use crate::domain::observation::{Observation, Source};
use crate::domain::packed_log::PackedLog;
use crate::domain::submission::run_name_of_input;
use crate::domain::timestamp::{self, Timestamp};
use crate::provider::json::{self, Fields};
use crate::provider::log_readers::{LogReaders, LogSeen};
use crate::provider::warn_once::warn_once;
use crate::provider::{Page, Snapshot};

/// The part of a `next` URL that says which page it is. The rest of it is not followed: it could
/// lead the token to another host, and behind a proxy it leads nowhere.
pub(super) fn cursor_of(next: &str) -> Option<String> {
    let (_, query) = next.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "cursor")
        .map(|(_, cursor)| cursor.into_owned())
}

/// A page of the list as the API writes it.
#[derive(Debug, Deserialize)]
pub struct PredictionPage {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) next: Option<String>,
    /// Read one by one, so that one strange entry does not hide the others.
    pub(super) results: Vec<Box<RawValue>>,
}

impl PredictionPage {
    /// What this says about the jobs of `provider`; `cursor` is what it was asked for by. Entries that cannot be
    /// read are left out and counted.
    pub fn into_page(
        self,
        cursor: Option<&str>,
        provider: &'static str,
        now: Timestamp,
        readers: &LogReaders,
    ) -> Page {
        // A page that names only itself as the next would be read for ever.
        let next = self.next.as_deref().and_then(cursor_of);
        // Lists carry no logs, so when they were asked for does not matter.
        let heard = Heard { provider, source: Source::Poll, at: now, asked_at: None };
        let mut page = Page {
            next: next.filter(|next| Some(next.as_str()) != cursor),
            observations: Vec::with_capacity(self.results.len()),
            skipped: 0,
        };
        for entry in self.results {
            match json::read::<Prediction>(entry.get().as_bytes()) {
                Ok(prediction) => {
                    page.skipped += prediction.unreadable.len();
                    page.observations.push(prediction.into_snapshot(heard, readers).observation);
                }
                Err(error) => {
                    page.skipped += 1;
                    warn_once(format!(
                        "an entry of the list of {provider} cannot be read: {error}"
                    ));
                }
            }
        }
        page
    }
}

/// A prediction as the API and webhooks write it. Real answers are looser than the description, so
/// everything but the id may be missing, null or of another type.
#[derive(Debug)]
pub struct Prediction {
    /// The provider's identifier.
    pub id: String,
    /// The provider's word for the state.
    pub status: Option<String>,
    model: Option<String>,
    version: Option<String>,
    /// Of its inputs, which can be long and secret, only what the run is called.
    run_name: Option<String>,
    output: Value,
    error: Value,
    logs: Option<String>,
    /// The provider has deleted the log, and more.
    data_removed: Option<bool>,
    predict_time: Option<f64>,
    web_url: Option<String>,
    created_at: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    /// The fields that are there and cannot be read.
    unreadable: Vec<String>,
}

impl Prediction {
    /// A prediction of its fields. None where there is no identifier among them.
    pub(in crate::provider) fn of(mut fields: Fields) -> Option<Self> {
        let mut metrics: Fields = fields.take("metrics").unwrap_or_default();
        let mut urls: Fields = fields.take("urls").unwrap_or_default();
        Some(Self {
            id: fields.take("id").filter(|id: &String| is_plausible_id(id))?,
            status: fields.take("status"),
            model: fields.take("model"),
            version: fields.take("version"),
            run_name: run_name(&fields),
            output: fields.take("output").unwrap_or_default(),
            error: fields.take("error").unwrap_or_default(),
            logs: fields.take("logs"),
            data_removed: fields.take("data_removed"),
            predict_time: metrics.take("predict_time"),
            web_url: urls.take("web"),
            created_at: fields.take("created_at"),
            started_at: fields.take("started_at"),
            completed_at: fields.take("completed_at"),
            unreadable: [fields, metrics, urls].into_iter().flat_map(Fields::unreadable).collect(),
        })
    }

    /// How many of its fields are there and cannot be read.
    pub fn skipped(&self) -> usize {
        self.unreadable.len()
    }
}

impl<'de> Deserialize<'de> for Prediction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Fields::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("it has no id that can be one of a job"))
    }
}

/// The longest inputs that are searched for the name of the run, in bytes.
const NAMED_INPUT_BYTES_MAX: usize = 65_536;

fn run_name(fields: &Fields) -> Option<String> {
    let input: Map<String, Value> = fields.peek("input", NAMED_INPUT_BYTES_MAX)?;
    run_name_of_input(&input)
}

/// The longest identifier that is taken, in bytes; the provider's own have 26.
const ID_BYTES_MAX: usize = 150;

/// Whether a text can be the identifier of a job. What cannot would not fit into an index, or into
/// a line of a log.
pub(in crate::provider) fn is_plausible_id(id: &str) -> bool {
    let is_strange = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(is_strange)
}

pub(super) fn plausible_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if is_plausible_id(&id) { Ok(id) } else { Err(D::Error::custom("this is no id of a job")) }
}

/// Takes what fits the type, and nothing where it does not.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Box::<RawValue>::deserialize(deserializer)?;
    Ok(json::read::<Option<T>>(text.get().as_bytes()).ok().flatten())
}

/// How an answer or a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Of whose job.
    pub provider: &'static str,
    /// By which way.
    pub source: Source,
    /// When, by our clock.
    pub at: Timestamp,
    /// When we asked, where we did.
    pub asked_at: Option<Timestamp>,
}

impl Prediction {
    /// What this says about the job.
    pub fn into_snapshot(self, heard: Heard, readers: &LogReaders) -> Snapshot {
        let Heard { provider, source, at: now, asked_at } = heard;
        for field in &self.unreadable {
            warn_once(format!("{field} of job {} of {provider} cannot be read", self.id));
        }
        let status = self.status.as_deref().and_then(status_of);
        if let (None, Some(word)) = (status, &self.status) {
            let word = bounded_name(word, STATUS_BYTES_MAX);
            warn_once(format!(
                "{provider} calls job {} {word:?}, which is no state known here",
                self.id
            ));
        }
        let ended = status.is_some_and(JobStatus::is_terminal);
        let log = self.logs.filter(|log| !log.is_empty());
        let log_is_removed = log.is_none() && self.data_removed == Some(true);
        let progress = log.as_deref().map(|log| {
            readers.read(&self.id, LogSeen { log: log.as_bytes(), at: now, asked_at, ended })
        });
        let at = |text: Option<String>| text.as_deref().and_then(timestamp::parse);
        let observation = Observation {
            status,
            provider_status: self.status,
            created_at: at(self.created_at),
            started_at: at(self.started_at),
            completed_at: at(self.completed_at),
            predict_time_micros: self.predict_time.and_then(to_micros),
            error_message: said(&self.error),
            output_url: output_url(&self.output),
            model: self.model,
            version: self.version.filter(|version| version != "hidden"),
            run_name: self.run_name,
            web_url: self.web_url,
            progress,
            logs: match &log {
                Some(log) if ended => Some(readers.pack(log)),
                // It ended without a word. Who tells us unasked may only have been too early.
                None if ended && asked_at.is_some() && !log_is_removed => Some(PackedLog::pack("")),
                _ => None,
            },
            log_is_removed,
            ..Observation::silent(provider, &self.id, source, now)
        };
        Snapshot { observation, log }
    }
}

/// Replicate's words for the states. `aborted` ended before it started.
pub fn status_of(word: &str) -> Option<JobStatus> {
    match word {
        "starting" => Some(JobStatus::Queued),
        "processing" => Some(JobStatus::Running),
        "succeeded" => Some(JobStatus::Completed),
        "failed" => Some(JobStatus::Failed),
        "canceled" | "cancelled" | "aborted" => Some(JobStatus::Cancelled),
        _ => None,
    }
}

/// The longest that a job can have been computing, in seconds: 31 days. Replicate ends a run after a day at
/// most, and a runtime of one's own hardly keeps a process for longer. What is beyond that is no time, and
/// would make a cost that nobody has.
const PREDICT_SECONDS_MAX: f64 = 31.0 * 86_400.0;

fn to_micros(seconds: f64) -> Option<i64> {
    (0.0..=PREDICT_SECONDS_MAX).contains(&seconds).then(|| (seconds * 1e6).round() as i64)
}

/// An error is a text or, from some models, an object; either says what went wrong.
fn said(error: &Value) -> Option<String> {
    match error {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Where the result is: the output itself, the first of several, or a training's weights. Text that a model
/// has written is no place, also where a URL is a part of it.
pub(in crate::provider) fn output_url(output: &Value) -> Option<String> {
    match output {
        Value::String(text) if is_url(text) => Some(text.clone()),
        Value::Array(several) if several.iter().any(is_other_text) => None,
        Value::Array(several) => several.iter().find_map(output_url),
        Value::Object(fields) => {
            ["weights", "url", "output"].iter().find_map(|key| output_url(fields.get(*key)?))
        }
        _ => None,
    }
}

fn is_other_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !is_url(text))
}

/// The schemes of the URLs under which results are kept.
const OUTPUT_SCHEMES: [&str; 8] = ["https", "http", "data", "s3", "gs", "hf", "azure", "file"];

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_known = OUTPUT_SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    // The content of a data URI can be many megabytes, and is not looked at.
    let is_data = scheme.eq_ignore_ascii_case("data") && rest.contains(',');
    let is_place = || !text.contains(char::is_whitespace) && Url::parse(text).is_ok();
    is_known && (is_data || is_place())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(prediction: Value) -> Observation {
        let prediction: Prediction =
            serde_json::from_str(&prediction.to_string()).expect("a prediction");
        let now = timestamp::parse("2026-03-01T10:00:00Z").expect("an instant");
        let heard =
            Heard { provider: "replicate", source: Source::Poll, at: now, asked_at: Some(now) };
        prediction.into_snapshot(heard, &LogReaders::default()).observation
    }

    #[test]
    fn every_documented_status_has_its_meaning() {
        for (word, status) in [
            ("starting", JobStatus::Queued),
            ("processing", JobStatus::Running),
            ("succeeded", JobStatus::Completed),
            ("failed", JobStatus::Failed),
            ("canceled", JobStatus::Cancelled),
            ("cancelled", JobStatus::Cancelled),
            ("aborted", JobStatus::Cancelled),
        ] {
            assert_eq!(status_of(word), Some(status), "{word}");
        }
    }

    #[test]
    fn an_unknown_status_is_kept_as_the_providers_word_and_changes_nothing() {
        let observation = read(json!({"id": "p1", "status": "hibernating"}));
        assert_eq!(observation.status, None);
        assert_eq!(observation.provider_status.as_deref(), Some("hibernating"));
    }

    #[test]
    fn everything_but_the_id_may_be_missing_null_or_of_another_type() {
        let observation = read(json!({
            "id": "p1", "status": null, "logs": 5, "metrics": "none", "urls": [], "output": 3,
            "error": null, "created_at": 12, "model": {},
        }));
        assert_eq!(observation.status, None);
        assert_eq!(observation.output_url, None);
        assert_eq!(observation.error_message, None);
    }

    #[test]
    fn an_output_of_any_shape_gives_its_first_url() {
        let of = |output: Value| read(json!({"id": "p1", "output": output})).output_url;
        let url = Some("https://x/y.tar".to_owned());
        assert_eq!(of(json!("https://x/y.tar")), url);
        assert_eq!(of(json!(["https://x/y.tar", "https://x/z"])), url);
        assert_eq!(of(json!({"version": "a/b:1", "weights": "https://x/y.tar"})), url);
        assert_eq!(of(json!([null, "s3://x/y.tar"])).as_deref(), Some("s3://x/y.tar"));
        assert_eq!(
            of(json!("data:image/png;base64,AA")).as_deref(),
            Some("data:image/png;base64,AA")
        );
        assert_eq!(of(json!({"loss": 0.1})), None);
    }

    #[test]
    fn what_a_model_has_written_is_no_url() {
        let of = |output: Value| read(json!({"id": "p1", "output": output})).output_url;
        for output in [
            json!(["The", " answer"]),
            json!("The: answer"),
            json!(["See ", "https://x/y.tar", "."]),
            json!("https://x/y.tar is where it is"),
            json!("javascript:alert(1)"),
            json!("https://"),
            json!(""),
        ] {
            assert_eq!(of(output.clone()), None, "{output}");
        }
    }

    #[test]
    fn a_time_of_computing_that_cannot_be_is_none() {
        for (told, micros) in [
            (json!(600.5), Some(600_500_000)),
            (json!(0), Some(0)),
            (json!(-1.0), None),
            (json!(1e300), None),
            (json!(31_536_000), None),
            (json!("600"), None),
        ] {
            let observation = read(json!({"id": "p1", "metrics": {"predict_time": told}}));
            assert_eq!(observation.predict_time_micros, micros, "{told}");
        }
    }

    #[test]
    fn only_the_cursor_of_the_next_page_is_followed() {
        assert_eq!(
            cursor_of("https://elsewhere.example/v1/predictions?a=b&cursor=cD0%3D").as_deref(),
            Some("cD0=")
        );
        assert_eq!(cursor_of("https://elsewhere.example/v1/predictions"), None);
    }
}
