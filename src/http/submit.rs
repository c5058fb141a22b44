//! Submitting a job: what is asked for becomes an order, which waits in the queue.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload as Body};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::config_folder::LoadedConfig;
use super::error::{ApiError, quoted};
use super::providers;
use super::query::{Query, require_json};
use super::queue::{PriorityWord, unknown_value};
use super::retry::{self, Kept};
use super::{Gateway, costs};
use crate::actors::dispatcher::SubmitJob;
use crate::actors::job_reader::costs::BudgetStanding;
use crate::actors::poller::GetWebhookUrl;
use crate::db::queue::NewSubmission;
use crate::domain::budget::{Action, Level};
use crate::domain::job::JobId;
use crate::domain::queue::Priority;
use crate::domain::submission::{
    Order, Payload, SecretInputs, Target, TrainerConfig, profile_model, take_secrets,
};
use crate::domain::timestamp::now;
use crate::provider::registry::Capabilities;
use crate::provider::replicate;

/// The longest name, key or identifier that is taken, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// The machine on which SimpleTuner's own client trains where none is asked for.
pub(super) const PROFILE_DEFAULT: &str = "h100";

/// What a client asks for. SimpleTuner's client sends more, which is of no use here.
#[derive(Debug, Deserialize)]
pub(super) struct SubmitRequest {
    config: Option<Map<String, Value>>,
    dataloader_config: Option<Vec<Map<String, Value>>>,
    lycoris_config: Option<Map<String, Value>>,
    input: Option<Map<String, Value>>,
    config_name: Option<String>,
    config_name_to_load: Option<String>,
    model: Option<String>,
    version: Option<String>,
    deployment: Option<String>,
    destination: Option<String>,
    hardware_profile: Option<String>,
    webhook_url: Option<Value>,
    webhook_url_is_rewritten: Option<Value>,
    tracker_run_name: Option<String>,
    idempotency_key: Option<String>,
    priority: Option<PriorityWord>,
    user_id: Option<UserId>,
    max_attempts: Option<u32>,
    /// The secrets of what is kept under a name, by the names by which they are missing.
    #[serde(default)]
    secrets: Map<String, Value>,
    /// What SimpleTuner's client sends as well, and what is only a slip of the pen.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Clients number their users, or name them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum UserId {
    Number(i64),
    Name(String),
}

/// What SimpleTuner's client sends and nothing here needs.
const UNUSED: [&str; 3] = ["snapshot_name", "snapshot_message", "upload_id"];

fn bad(field: &str, problem: impl Into<String>) -> ApiError {
    ApiError::BadValue { field: field.to_owned(), problem: problem.into() }
}

/// `POST /api/cloud/jobs/submit`
pub(super) async fn submit(
    request: HttpRequest,
    body: Body,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let parameters = Query::of(&request);
    let provider = parameters.text("provider").unwrap_or(replicate::NAME).to_owned();
    let setup = gateway.provider(&provider)?.setup.clone();
    let mut asked: SubmitRequest = require_json(&request, body).await?;
    let question = GetWebhookUrl { provider: setup.name };
    let configured_webhook = gateway.asker.ask(&gateway.poller, question).await?;
    let webhook_url = match &asked.webhook_url {
        Some(url) => providers::webhook_url(url, asked.webhook_url_is_rewritten.as_ref(), &setup)?
            .or(configured_webhook),
        None => configured_webhook,
    };
    let cost_limit_warning = spending_warning(&gateway).await?;
    let stored = match asked.name_to_load() {
        Some(name) => match retry::kept(&gateway, setup.name, &name).await? {
            Kept::Config(config) => asked.load(name, *config),
            Kept::Order(order) => {
                asked.config_name.get_or_insert(name);
                Some(*order)
            }
        },
        None => None,
    };
    let warnings = asked.warnings(setup.has_hub_token);
    let limits = Limits { max_attempts: gateway.config.queue.max_attempts };
    let (order, secrets) = match stored {
        Some(order) => asked.again(order, setup.capabilities, webhook_url)?,
        None => asked.order(setup.capabilities, webhook_url)?,
    };
    let new = asked.submission(provider, order, limits)?;
    enqueue(&gateway, new, secrets, cost_limit_warning, warnings).await
}

/// What is to be said of the spending so far.
///
/// # Errors
/// Where nothing more may be spent.
pub(super) async fn spending_warning(gateway: &Gateway) -> Result<Option<String>, ApiError> {
    let BudgetStanding { budget, spending, .. } = costs::standing(gateway).await?;
    let is_blocked =
        budget.action == Action::Block && budget.level(spending) == Some(Level::Exceeded);
    let warning = budget.in_words(spending);
    match warning.clone().filter(|_| is_blocked) {
        Some(words) => {
            let (_, until) = budget.period.around(now());
            Err(ApiError::SpendingLimit { words, until })
        }
        None => Ok(warning),
    }
}

/// Puts a job into the queue, with what it will probably cost, and answers as SimpleTuner's clients read it.
pub(super) async fn enqueue(
    gateway: &Gateway,
    new: NewSubmission,
    secrets: SecretInputs,
    cost_limit_warning: Option<String>,
    warnings: Vec<String>,
) -> Result<Json<Value>, ApiError> {
    let model = new.order.target.model();
    let hardware = model.and_then(|model| gateway.prices.hardware_of_model(model));
    let estimated_cost_micro_usd = match hardware {
        Some(hardware) => costs::estimate_micro_usd(gateway, hardware).await?.1,
        None => None,
    };
    let new = NewSubmission { estimated_cost_micro_usd, ..new };
    let (job, is_repeat) =
        gateway.asker.ask(&gateway.dispatcher, SubmitJob { new, secrets }).await?;
    Ok(Json(json!({
        "success": true,
        "job_id": job.job_id,
        "status": job.status,
        "error": null,
        "data_uploaded": false,
        "upload_id": null,
        "cost_limit_warning": cost_limit_warning,
        "quota_warnings": warnings,
        "idempotent_hit": is_repeat,
    })))
}

/// What the configuration says where a client says nothing.
struct Limits {
    max_attempts: u32,
}

impl SubmitRequest {
    /// The name of what is kept, where that is to be run.
    fn name_to_load(&self) -> Option<String> {
        let is_given = self.config.is_some() || self.input.is_some();
        self.config_name_to_load.clone().filter(|name| !is_given && !name.is_empty())
    }

    /// Takes a configuration that was read, as if it had been sent.
    fn load(&mut self, name: String, loaded: LoadedConfig) -> Option<Order> {
        self.config_name.get_or_insert(name);
        self.config = Some(loaded.config);
        self.dataloader_config = self.dataloader_config.take().or(loaded.dataloader);
        self.lycoris_config = self.lycoris_config.take().or(loaded.lycoris);
        None
    }

    /// What is to be run: the same as before, with what is said otherwise now.
    fn again(
        &self,
        stored: Order,
        provider: Capabilities,
        webhook_url: Option<url::Url>,
    ) -> Result<(Order, SecretInputs), ApiError> {
        let target = match self.targets().next() {
            Some(_) if provider.chooses_model => self.target()?,
            Some(_) => self.resident()?,
            None => stored.target.clone(),
        };
        let secrets = retry::secrets_again(&stored, &self.secrets)?;
        let run_name = text("tracker_run_name", self.tracker_run_name.clone())?;
        let order = Order {
            target,
            run_name: run_name.or(stored.run_name),
            webhook_url: webhook_url.or(stored.webhook_url),
            ..stored
        };
        Ok((order, secrets))
    }

    /// What is to be run, and the secrets that belong to it.
    fn order(
        &self,
        provider: Capabilities,
        webhook_url: Option<url::Url>,
    ) -> Result<(Order, SecretInputs), ApiError> {
        let target = if provider.chooses_model { self.target()? } else { self.resident()? };
        if !provider.lists_jobs && webhook_url.is_none() {
            let problem =
                "this provider tells of its jobs by webhooks alone: give one, or configure it";
            return Err(bad("webhook_url", problem));
        }
        let destination = self.destination(provider, &target)?;
        let (payload, secrets) = match (&self.config, &self.input) {
            (Some(config), None) => self.training(config.clone())?,
            (None, Some(input)) => self.plain_input(input.clone())?,
            (Some(_), Some(_)) => return Err(bad("input", "give either config or input")),
            (None, None) => return Err(bad("config", "give config or input")),
        };
        let names = secrets.names();
        let run_name = text("tracker_run_name", self.tracker_run_name.clone())?;
        let order = Order { target, payload, destination, run_name, webhook_url, secrets: names };
        Ok((order, secrets))
    }

    /// The model to which a training writes its result.
    fn destination(
        &self,
        provider: Capabilities,
        target: &Target,
    ) -> Result<Option<String>, ApiError> {
        let given = self.destination.as_deref().map(str::trim).filter(|text| !text.is_empty());
        match (given, provider.trainings) {
            (None, false) => Ok(None),
            (Some(_), false) => {
                Err(bad("destination", "only a training has one, and this provider runs none"))
            }
            (None, true) => {
                Err(bad("destination", "say to which model, owner/name, the training writes"))
            }
            (Some(text), true) if !is_model(text) => {
                Err(bad("destination", format!("{} is not of the form owner/name", quoted(text))))
            }
            (Some(text), true) => match target {
                Target::Deployment(_) => Err(bad("deployment", "a deployment cannot be trained")),
                Target::Version(version) if !version.contains(':') => {
                    Err(bad("version", "a training needs its model, too: owner/name:version"))
                }
                Target::Model(_) | Target::Version(_) | Target::Resident => {
                    Ok(Some(text.to_owned()))
                }
            },
        }
    }

    fn training(&self, config: Map<String, Value>) -> Result<(Payload, SecretInputs), ApiError> {
        let dataloader = self.dataloader_config.as_ref();
        let trainer = TrainerConfig {
            config,
            dataloader: dataloader.map(|datasets| json!(datasets)),
            lycoris: self.lycoris_config.clone().map(Value::Object),
        };
        let trainer = trainer
            .prepared(self.tracker_run_name.as_deref())
            .map_err(|unusable| bad("config", unusable.to_string()))?;
        let mut whole = json!(trainer);
        let secrets = take_secrets(&mut whole);
        let trainer =
            serde_json::from_value(whole).map_err(|error| bad("config", error.to_string()))?;
        Ok((Payload::Trainer(trainer), secrets))
    }

    fn plain_input(&self, input: Map<String, Value>) -> Result<(Payload, SecretInputs), ApiError> {
        for field in ["dataloader_config", "lycoris_config"] {
            let is_given = match field {
                "dataloader_config" => self.dataloader_config.is_some(),
                _ => self.lycoris_config.is_some(),
            };
            if is_given {
                return Err(bad(field, "it belongs to config; with input, put it in there"));
            }
        }
        for (name, value) in &input {
            // A text of JSON is stored as it is, so nothing can be taken out of it.
            let text = value.as_str().unwrap_or_default().trim_start();
            if text.starts_with(['{', '['])
                && let Ok(mut within) = serde_json::from_str(text)
                && let secrets = take_secrets(&mut within)
                && !secrets.is_empty()
            {
                let names = secrets.names().join(", ");
                let problem = format!(
                    "its text holds secrets ({names}), which would be stored: send the configuration as \
                     config, or leave them to the daemon's own settings"
                );
                return Err(bad(&format!("input.{name}"), problem));
            }
        }
        let mut whole = Value::Object(input);
        let secrets = take_secrets(&mut whole);
        let Value::Object(input) = whole else { unreachable!("it was an object") };
        Ok((Payload::Input(input), secrets))
    }

    /// Everything that says what is to run.
    fn targets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let given = [
            ("model", &self.model),
            ("version", &self.version),
            ("deployment", &self.deployment),
            ("hardware_profile", &self.hardware_profile),
        ];
        given.into_iter().filter_map(|(field, text)| {
            let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
            Some((field, text))
        })
    }

    fn resident(&self) -> Result<Target, ApiError> {
        match self.targets().next() {
            Some((field, _)) => Err(bad(field, "this provider runs one model alone: leave it out")),
            None => Ok(Target::Resident),
        }
    }

    fn target(&self) -> Result<Target, ApiError> {
        let mut given = self.targets();
        let Some((field, text)) = given.next() else {
            if self.input.is_some() {
                return Err(bad(
                    "model",
                    "with input, say what to run: model, version, deployment or hardware_profile",
                ));
            }
            return profile_model(PROFILE_DEFAULT).map(Target::Model).map_err(unknown_profile);
        };
        if let Some((other, _)) = given.next() {
            return Err(bad(other, format!("give either {field} or {other}")));
        }
        match field {
            "model" if is_model(text) => Ok(Target::Model(text.to_owned())),
            "model" | "version" if is_version(text) => Ok(Target::Version(text.to_owned())),
            "version" if is_model(text) => Ok(Target::Model(text.to_owned())),
            "deployment" if is_model(text) => Ok(Target::Deployment(text.to_owned())),
            "hardware_profile" => profile_model(text).map(Target::Model).map_err(unknown_profile),
            "version" => Err(bad(
                field,
                format!(
                    "{} is neither owner/name:version nor a version of 64 hexadecimal digits",
                    quoted(text)
                ),
            )),
            _ => Err(bad(field, format!("{} is not of the form owner/name", quoted(text)))),
        }
    }

    fn submission(
        self,
        provider: String,
        order: Order,
        limits: Limits,
    ) -> Result<NewSubmission, ApiError> {
        let max_attempts = self.max_attempts.unwrap_or(limits.max_attempts);
        if !(1..=100).contains(&max_attempts) {
            return Err(bad("max_attempts", "a whole number from 1 to 100 is needed"));
        }
        let user_id = self.user_id.map(|id| match id {
            UserId::Number(number) => number.to_string(),
            UserId::Name(name) => name,
        });
        let priority = self.priority.map(PriorityWord::read).transpose()?;
        Ok(NewSubmission {
            job_id: new_job_id(),
            provider,
            config_name: text("config_name", self.config_name)?.or_else(|| order.run_name()),
            order,
            user_id: text("user_id", user_id)?,
            priority: priority.unwrap_or(Priority::NORMAL),
            max_attempts,
            idempotency_key: text("idempotency_key", self.idempotency_key)?,
            estimated_cost_micro_usd: None,
        })
    }

    /// What was asked for and will not be, or probably not as it was meant.
    fn warnings(&self, has_hub_token: Option<bool>) -> Vec<String> {
        let mut warnings = Vec::new();
        for name in self.others.keys().filter(|name| !UNUSED.contains(&name.as_str())) {
            warnings.push(format!("the field {} is not known here, and was ignored", quoted(name)));
        }
        for dataset in self.dataloader_config.iter().flatten() {
            let folder = dataset.get("instance_data_dir").and_then(Value::as_str);
            let is_local =
                dataset.get("type").and_then(Value::as_str).unwrap_or("local") == "local";
            if let Some(folder) = folder.filter(|_| is_local) {
                warnings.push(format!(
                    "the dataset in {} is not uploaded by this daemon: the trainer must find it there",
                    quoted(folder),
                ));
            }
        }
        let trainer = self.config.clone().map(|config| TrainerConfig {
            config,
            dataloader: None,
            lycoris: None,
        });
        if trainer.is_some_and(|trainer| trainer.pushes_to_hub()) && has_hub_token == Some(false) {
            warnings.push(
                "the result is to be pushed to Hugging Face, and the daemon has no token for it: set HF_TOKEN"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// An identifier of our own. Clients show the first 8 characters, so these must differ, also between jobs of one
/// moment: the time would not do. Nothing rests on the order of identifiers.
pub(super) fn new_job_id() -> JobId {
    JobId(Uuid::new_v4().to_string())
}

fn unknown_profile(unknown: crate::domain::job::UnknownWord) -> ApiError {
    unknown_value("hardware_profile", unknown)
}

/// A text that is kept: not empty, not too long, and without control characters.
pub(super) fn text(field: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
        let problem =
            format!("at most {TEXT_CHARS_MAX} characters are taken, without control characters");
        return Err(bad(field, problem));
    }
    Ok(Some(text))
}

/// Whether a text is `owner/name`, of letters that need no escape in a URL.
fn is_model(text: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty()
            && part.len() <= TEXT_CHARS_MAX
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    text.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

/// Whether a text is a version, with or without its model.
fn is_version(text: &str) -> bool {
    let is_hash = |text: &str| {
        text.len() <= 64 && text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match text.split_once(':') {
        Some((model, version)) => is_model(model) && is_hash(version),
        None => is_hash(text),
    }
}
