//! `jobsyncd jobs submit`: starts a job, once, however often the call has to be repeated.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::api::{Answer, Api};
use super::job_text::word;
use super::wait::{Patience, wait};
use super::words::{UNKNOWN, clean};
use super::{ClientError, Common, say};

/// How often the call is made at most.
const TRIES_MAX: u32 = 5;
/// The pause after the first that failed; after each further one it is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, also where the daemon asks for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is submitted.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["config", "input"])))]
pub(in super::super) struct SubmitOptions {
    /// A file with the trainer's configuration, a JSON object; - is standard input.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file with the data sets of the configuration, a JSON list.
    #[arg(long, value_name = "FILE", requires = "config")]
    dataloader: Option<PathBuf>,
    /// A file with the LyCORIS settings of the configuration, a JSON object.
    #[arg(long, value_name = "FILE", requires = "config")]
    lycoris: Option<PathBuf>,
    /// A file with the model's input as the provider takes it, a JSON object; - is standard input.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// What the job is called.
    #[arg(long, value_name = "NAME")]
    config_name: Option<String>,
    /// The model that trains: owner/name.
    #[arg(long, group = "target")]
    model: Option<String>,
    /// The version of the model that trains.
    #[arg(long, group = "target")]
    version: Option<String>,
    /// The provider's deployment that trains: owner/name.
    #[arg(long, value_name = "NAME", group = "target")]
    deployment: Option<String>,
    /// The machine on which SimpleTuner's own model trains.
    #[arg(long, value_name = "NAME", group = "target")]
    hardware_profile: Option<String>,
    /// How soon it is started when others wait.
    #[arg(long, value_enum)]
    priority: Option<Priority>,
    /// Whoever submits with the same key twice gets the same job twice [default: made up].
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Where the job is to run.
    #[arg(long, default_value = "replicate")]
    provider: String,
    /// Go on as `jobsyncd wait` does, and end as the job did.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    common: Common,
}

/// How soon a job is started when others wait.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Priority {
    Low,
    Normal,
    High,
    Urgent,
    Critical,
}

impl Priority {
    fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
            Self::Critical => "critical",
        }
    }
}

/// Submits, and waits where that was asked for.
pub(super) async fn run(options: &SubmitOptions) -> Result<ExitCode, ClientError> {
    let key = options.idempotency_key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let body = body(options, &key)?;
    let api = options.common.api()?;
    let answer = submit(&api, options, &body).await.inspect_err(|error| {
        // Whether the daemon has taken the job is not known then.
        if is_worth_repeating(error) || matches!(error, ClientError::NoAnswer { .. }) {
            say(&format!("--idempotency-key {key} submits the same once more, and never twice"));
        }
    })?;
    for warning in warnings(&answer.json) {
        say(&warning);
    }
    let job = answer.json["job_id"].as_str().unwrap_or_default();
    if answer.json["success"] != true || job.is_empty() {
        return Err(api.told(&format!("not submitted: {}", word(&answer.json["error"]))));
    }
    if !options.wait {
        options.common.print(&answer, written)?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("submitted {}", clean(job)));
    wait(&api, &options.common, job, options.patience).await
}

/// Makes the call, again and again with the same key where nobody can tell whether it has arrived.
async fn submit(api: &Api, options: &SubmitOptions, body: &Value) -> Result<Answer, ClientError> {
    let provider = [("provider", options.provider.clone())];
    let url = api.url(&["cloud", "jobs", "submit"], &provider);
    let mut pause = PAUSE;
    for _ in 1..TRIES_MAX {
        match api.post(&url, Some(body)).await {
            Err(error) if is_worth_repeating(&error) => {
                say(&format!("{error}; trying again"));
                let asked = error.retry_after().unwrap_or_default();
                tokio::time::sleep(asked.max(pause).min(PAUSE_MAX)).await;
                pause *= 2;
            }
            result => return result,
        }
    }
    api.post(&url, Some(body)).await
}

fn is_worth_repeating(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Refused { status, .. } => *status == 503,
        _ => false,
    }
}

fn body(options: &SubmitOptions, key: &str) -> Result<Value, ClientError> {
    let files = [
        ("config", &options.config, Value::is_object as fn(&Value) -> bool, "an object"),
        ("dataloader_config", &options.dataloader, Value::is_array, "a list"),
        ("lycoris_config", &options.lycoris, Value::is_object, "an object"),
        ("input", &options.input, Value::is_object, "an object"),
    ];
    let mut body = Map::new();
    for (field, path, has_shape, shape) in files {
        let Some(path) = path else { continue };
        let value = read_json(path)?;
        if !has_shape(&value) {
            let problem = format!("{}: the JSON is not {shape}", path.display());
            return Err(ClientError::Usage(problem));
        }
        body.insert(field.to_owned(), value);
    }
    let texts = [
        ("config_name", options.config_name.as_deref()),
        ("model", options.model.as_deref()),
        ("version", options.version.as_deref()),
        ("deployment", options.deployment.as_deref()),
        ("hardware_profile", options.hardware_profile.as_deref()),
        ("priority", options.priority.map(Priority::as_str)),
        ("idempotency_key", Some(key)),
    ];
    let texts = texts.into_iter().filter_map(|(field, text)| Some((field, text?)));
    body.extend(texts.map(|(field, text)| (field.to_owned(), json!(text))));
    Ok(Value::Object(body))
}

fn read_json(path: &Path) -> Result<Value, ClientError> {
    let bad = |problem: String| ClientError::Usage(format!("{}: {problem}", path.display()));
    let text = if path == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map(|_| text)
    } else {
        std::fs::read(path)
    };
    let text = text.map_err(|error| bad(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| bad(format!("this is not JSON: {error}")))
}

/// What a person should know of a job that was taken all the same.
fn warnings(answer: &Value) -> Vec<String> {
    let cost = answer["cost_limit_warning"].as_str();
    let quota = answer["quota_warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let hit = answer["idempotent_hit"] == true;
    let hit = hit.then_some("this had been submitted before: it is the same job");
    cost.into_iter().chain(quota).chain(hit).map(clean).collect()
}

fn written(answer: &Value) -> String {
    match word(&answer["status"]) {
        status if status == UNKNOWN => word(&answer["job_id"]),
        status => format!("{} {status}", word(&answer["job_id"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_should_know_is_told_line_by_line() {
        let answer = json!({"cost_limit_warning": "90 % spent", "quota_warnings": ["one", "two"],
            "idempotent_hit": true});
        assert_eq!(warnings(&answer).len(), 4);
        let plain = json!({"cost_limit_warning": null, "quota_warnings": []});
        assert_eq!(warnings(&plain), [""; 0]);
    }
}
