//! The providers: what there is, how each is set up, and whether its token is good.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path, Payload};
use serde_json::{Map, Value, json};
use url::Url;

use super::error::ApiError;
use super::query::require_json;
use super::submit::PROFILE_DEFAULT;
use super::{Gateway, costs};
use crate::actors::accountant::LookAtBudget;
use crate::actors::job_store::ChangeBudget;
use crate::actors::poller::{GetWebhookUrl, SetWebhookUrl};
use crate::actors::provider_client::FetchAccount;
use crate::domain::budget::Budget;
use crate::domain::cost::{Hardware, to_usd};
use crate::domain::submission::{PROFILES, profile_model};
use crate::domain::timestamp::now;
use crate::domain::webhook_urls;
use crate::provider::registry::ProviderSetup;

/// `GET /api/cloud/providers`
pub(super) async fn list(gateway: Data<Gateway>) -> Json<Value> {
    let providers: Vec<_> = gateway.registry.iter().map(|setup| entry(&gateway, setup)).collect();
    Json(json!({"providers": providers}))
}

fn entry(gateway: &Gateway, setup: &ProviderSetup) -> Value {
    // Only what can be submitted: a provider that runs one thing alone takes no choice.
    let is_choice = setup.capabilities.chooses_model;
    let profiles: Vec<_> = PROFILES.iter().filter(|_| is_choice).copied().collect();
    let usual = is_choice.then_some(PROFILE_DEFAULT);
    let hardware = usual.or_else(|| gateway.prices.machine_of(setup.name));
    let usual_hardware = hardware.and_then(|id| gateway.prices.get(id));
    json!({
        "id": setup.name,
        "name": setup.title,
        "configured": setup.is_set_up && setup.has_token(),
        "coming_soon": false,
        "set_up_by": setup.set_up_by,
        "capabilities": setup.capabilities,
        "hardware": usual_hardware.map(|hardware| hardware.name.as_str()).or(hardware),
        "hardware_profile": usual,
        "cost_per_hour": usual_hardware.and_then(cost_per_second).map(per_hour),
        "model": usual.and_then(|profile| profile_model(profile).ok()),
        "hardware_profiles": profiles.iter().map(|id| profile(gateway, id)).collect::<Vec<_>>(),
    })
}

/// A machine that can be asked for, as SimpleTuner's page shows it, with the names that this had before.
fn profile(gateway: &Gateway, id: &str) -> Value {
    let hardware = gateway.prices.get(id);
    let name = hardware.map_or(id, |hardware| &hardware.name);
    let price = hardware.and_then(cost_per_second);
    json!({
        "id": id,
        "label": name,
        "name": name,
        "hardware_type": id,
        "cost_per_second": price.map(to_usd),
        "cost_per_second_usd": price.map(to_usd),
        "cost_per_hour": price.map(per_hour),
    })
}

fn cost_per_second(hardware: &Hardware) -> Option<i64> {
    hardware.micro_usd_per_second(now())
}

fn per_hour(micro_usd_per_second: i64) -> f64 {
    to_usd(micro_usd_per_second * 3_600)
}

/// `GET /api/cloud/providers/{provider}/config`
pub(super) async fn config(
    provider: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let setup = &gateway.provider(&provider)?.setup;
    let question = GetWebhookUrl { provider: setup.name };
    let webhook_url = gateway.asker.ask(&gateway.poller, question).await?;
    let budget = costs::standing(&gateway).await?.budget;
    Ok(Json(view(&gateway, setup, webhook_url.as_ref(), budget)))
}

/// What may be shown: of secrets only whether they are set.
fn view(
    gateway: &Gateway,
    setup: &ProviderSetup,
    webhook_url: Option<&Url>,
    budget: Budget,
) -> Value {
    let webhooks = &setup.webhooks;
    let allowed_ips: Vec<_> = webhooks.allowed_ips.iter().map(ToString::to_string).collect();
    json!({
        "provider": setup.name,
        "config": {
            "webhook_url": webhook_url.map(Url::as_str),
            // One tries the newest version of the usual model on the usual machine, unless a job says otherwise.
            "version_override": null,
            "hardware_profile": setup.capabilities.chooses_model.then_some(PROFILE_DEFAULT),
            "http_timeout": setup.timeout.as_secs(),
            // Certificates are always verified.
            "ssl_verify": true,
            "ssl_ca_bundle": null,
            "proxy_url": gateway.config.network.proxies.https.as_ref().map(ToString::to_string),
            "webhook_require_signature": webhooks.requires_signature,
            "webhook_allowed_ips": allowed_ips,
            "has_api_token": setup.has_token(),
            "has_webhook_secret": webhooks.secret.is_some(),
            "cost_limit_enabled": budget.is_enabled(),
            // A number always: SimpleTuner's command line formats it as one.
            "cost_limit_amount": to_usd(budget.limit_micro_usd.unwrap_or(0)),
            "cost_limit_period": budget.period,
            "cost_limit_action": budget.action,
        },
    })
}

/// What can be changed here.
const CHANGEABLE: [&str; 6] = [
    "webhook_url",
    IS_REWRITTEN,
    "cost_limit_enabled",
    "cost_limit_amount",
    "cost_limit_period",
    "cost_limit_action",
];

/// What SimpleTuner's clients write as well, and where that is said here.
const CONFIGURED: [(&str, &str); 8] = [
    ("version_override", "version or model of the submission"),
    ("hardware_profile", "hardware_profile of the submission"),
    ("http_timeout", "request_timeout_seconds of the provider in the configuration file"),
    ("ssl_verify", "nothing: certificates are always verified"),
    ("ssl_ca_bundle", "network.ca_file in the configuration file"),
    ("proxy_url", "network.proxy_url in the configuration file"),
    ("webhook_require_signature", "the configuration file"),
    ("webhook_allowed_ips", "the configuration file"),
];

/// Refuses what cannot be changed here, unless it is so already: clients send back all that they were shown.
fn refuse_changes(fields: &Map<String, Value>, shown: &Value) -> Result<(), ApiError> {
    for (field, value) in fields {
        if CHANGEABLE.contains(&field.as_str()) {
            continue;
        }
        let Some((_, place)) = CONFIGURED.iter().find(|(known, _)| known == field) else {
            let allowed = CHANGEABLE.to_vec();
            return Err(ApiError::UnknownValue { field: "config", word: field.clone(), allowed });
        };
        let is_so =
            shown["config"][field] == *value || (value == "" && shown["config"][field].is_null());
        if !is_so {
            let now = &shown["config"][field];
            let problem = format!("it is {now} and cannot be changed here: set it by {place}");
            return Err(ApiError::BadValue { field: field.clone(), problem });
        }
    }
    Ok(())
}

/// `PUT /api/cloud/providers/{provider}/config`
///
/// The webhook URL and the limit on spending can be set here; everything else belongs into the configuration file, where it
/// is validated as a whole.
pub(super) async fn change_config(
    request: HttpRequest,
    payload: Payload,
    provider: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let setup = &gateway.provider(&provider)?.setup;
    let body: Map<String, Value> = require_json(&request, payload).await?;
    // SimpleTuner's clients send the fields bare, or under `config` as they got them.
    let fields = match body.get("config") {
        Some(Value::Object(fields)) => fields,
        _ => &body,
    };
    let known = costs::standing(&gateway).await?.budget;
    refuse_changes(fields, &view(&gateway, setup, None, known))?;
    if let Some(budget) = costs::changed_budget(fields, known)? {
        gateway.asker.ask(&gateway.store, ChangeBudget(budget)).await?;
        gateway.asker.ask(&gateway.accountant, LookAtBudget).await?;
    }
    let url = match fields.get("webhook_url") {
        None => {
            let question = GetWebhookUrl { provider: setup.name };
            gateway.asker.ask(&gateway.poller, question).await?
        }
        Some(value) => {
            let url = webhook_url(value, fields.get(IS_REWRITTEN), setup)?;
            let change = SetWebhookUrl { provider: setup.name, url: url.clone() };
            gateway.asker.ask(&gateway.poller, change).await?;
            url
        }
    };
    let budget = costs::standing(&gateway).await?.budget;
    Ok(Json(view(&gateway, setup, url.as_ref(), budget)))
}

/// Says that a proxy changes the path of a webhook's URL on its way here.
pub(super) const IS_REWRITTEN: &str = "webhook_url_is_rewritten";

/// The URL that a client gives for the webhooks of a provider; None where it wants none. Its path is that of the
/// route, unless the client or the configuration says that a proxy changes it.
pub(super) fn webhook_url(
    value: &Value,
    is_rewritten: Option<&Value>,
    setup: &ProviderSetup,
) -> Result<Option<Url>, ApiError> {
    let bad =
        |field: &str, problem: String| ApiError::BadValue { field: field.to_owned(), problem };
    let is_rewritten = match is_rewritten {
        None | Some(Value::Null) => setup.webhooks.url_is_rewritten,
        Some(Value::Bool(is_rewritten)) => *is_rewritten,
        Some(_) => return Err(bad(IS_REWRITTEN, "true or false is needed".to_owned())),
    };
    match parse_webhook_url(value)? {
        Some(url) if !is_rewritten => webhook_urls::routed(&url, setup.name)
            .map(Some)
            .map_err(|wrong| bad("webhook_url", wrong.to_string())),
        url => Ok(url),
    }
}

fn parse_webhook_url(value: &Value) -> Result<Option<Url>, ApiError> {
    let bad = |problem: &str| ApiError::BadValue {
        field: "webhook_url".to_owned(),
        problem: problem.to_owned(),
    };
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
                Err(bad("a http or https URL is needed, or null for none"))
            }
            // A URL with credentials would show them to everybody who may see the setting.
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                Err(bad("a URL must not hold credentials"))
            }
            Ok(url) => Ok(Some(url)),
            Err(error) => Err(bad(&format!("{text:?} is no URL: {error}"))),
        },
        _ => Err(bad("a text is needed, or null for none")),
    }
}

/// `GET /api/cloud/providers/{provider}/validate`
pub(super) async fn validate(
    provider: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let door = gateway.provider(&provider)?;
    match gateway.asker.ask_abroad(&door.client, FetchAccount).await {
        Ok(account) => Ok(Json(json!({
            "valid": true,
            "username": account.username,
            "user_info": account,
            "error": null,
        }))),
        // Whether the token is good is what was asked, so that it is not is an answer.
        Err(ApiError::Provider(error)) => Ok(Json(json!({
            "valid": false,
            "username": null,
            "user_info": null,
            "error": error.to_string(),
        }))),
        Err(error) => Err(error),
    }
}
