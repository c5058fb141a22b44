//! Money: what may be spent and what was, what hardware costs, and what a job probably will.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::query::{Query, read_json_value};
use super::queue::unknown_value;
use super::{Gateway, provider_filter};
use crate::actors::job_reader::Read;
use crate::actors::job_reader::costs::{BudgetStanding, GetBudget, GetUsualRun, UsualRun};
use crate::domain::budget::{Action, Budget, Level, Period};
use crate::domain::cost::to_usd;
use crate::domain::submission::profile_model;
use crate::domain::timestamp::now;

/// The hardware on which SimpleTuner's own client trains where none is asked for.
const HARDWARE_DEFAULT: &str = "h100";
/// The largest limit that can be set, in dollars.
const LIMIT_USD_MAX: f64 = 1_000_000_000.0;

/// How the budget in force stands.
pub(super) async fn standing(gateway: &Gateway) -> Result<BudgetStanding, ApiError> {
    ask(gateway, None, false).await
}

async fn ask(
    gateway: &Gateway,
    provider: Option<String>,
    is_full: bool,
) -> Result<BudgetStanding, ApiError> {
    let question = GetBudget {
        configured: gateway.config.costs.budget,
        prices: gateway.prices.clone(),
        provider,
        is_full,
        now: now(),
    };
    gateway.asker.ask(&gateway.reader, Read(question)).await
}

/// `GET /api/cloud/cost-limit/status`
pub(super) async fn limit_status(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let parameters = Query::of(&request);
    let provider = provider_filter(parameters.text("provider"), &gateway.provider_names());
    let BudgetStanding { budget, spending, forecast_month_micro_usd, .. } =
        ask(&gateway, provider, true).await?;
    let level = budget.level(spending);
    let (period_started_at, period_ends_at) = budget.period.around(now());
    let spent = spending.total_micro_usd();
    let percent_used = match budget.limit() {
        Some(limit) if limit > 0 => (spent as f64 / limit as f64 * 1_000.0).round() / 10.0,
        Some(_) => 100.0,
        None => 0.0,
    };
    let message = match budget.limit() {
        Some(_) => budget.in_words(spending),
        None => Some("Cost limits not configured".to_owned()),
    };
    Ok(Json(json!({
        "enabled": budget.limit().is_some(),
        "limit_amount": budget.limit().map(to_usd),
        "period": budget.period,
        "action": budget.action,
        "current_spend": to_usd(spent),
        "percent_used": percent_used,
        "is_exceeded": level == Some(Level::Exceeded),
        "is_warning": level == Some(Level::Warning),
        "message": message,
        "warn_at_percent": budget.warn_at_percent,
        "running_estimate_usd": to_usd(spending.running_micro_usd),
        "period_started_at": period_started_at,
        "period_ends_at": period_ends_at,
        "forecast_month_usd": to_usd(forecast_month_micro_usd),
    })))
}

/// `GET /api/cloud/hardware-options`
pub(super) async fn hardware_options(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let now = now();
    let hardware: Vec<_> = gateway
        .prices
        .hardware()
        .map(|(id, hardware)| {
            let price = hardware.micro_usd_per_second(now);
            json!({
                "id": id,
                "name": hardware.name,
                "cost_per_second": price.map(to_usd),
                "cost_per_hour": price.map(|price| to_usd(price * 3_600)),
                "available": true,
            })
        })
        .collect();
    Ok(Json(json!({
        "hardware": hardware,
        "default_hardware": HARDWARE_DEFAULT,
        "message": null,
    })))
}

/// What a job on this hardware probably costs, in millionths of a dollar.
pub(super) async fn estimate_micro_usd(
    gateway: &Gateway,
    hardware: &str,
) -> Result<(UsualRun, Option<i64>), ApiError> {
    let question = GetUsualRun { hardware: hardware.to_owned() };
    let usual = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let price = gateway.prices.of(hardware, now());
    let cost = usual.seconds.zip(price).map(|(seconds, price)| (seconds * price as f64).round());
    Ok((usual, cost.map(|cost| cost as i64)))
}

/// `POST /api/cloud/cost-estimate`
///
/// SimpleTuner's page sends its list of datasets, of which nothing follows; others say on what it is to run.
pub(super) async fn estimate(
    request: HttpRequest,
    payload: Payload,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let asked = read_json_value(&request, payload).await?.unwrap_or_default();
    let hardware = match &asked {
        Value::Object(fields) => hardware_of(fields, &gateway)?,
        Value::Array(_) | Value::Null => HARDWARE_DEFAULT.to_owned(),
        _ => {
            let problem = "an object or a list of datasets is needed".to_owned();
            return Err(ApiError::BadValue { field: "body".to_owned(), problem });
        }
    };
    let (usual, cost) = estimate_micro_usd(&gateway, &hardware).await?;
    let price = gateway.prices.of(&hardware, now());
    let message = match (usual.seconds, price) {
        (_, None) => Some(format!("No price is known for {hardware}")),
        (None, _) => Some(format!("No job has completed on {hardware} yet")),
        _ => None,
    };
    Ok(Json(json!({
        "has_estimate": cost.is_some(),
        "estimated_cost_usd": cost.map(to_usd),
        "avg_duration_seconds": usual.seconds,
        "hardware_cost_per_hour": price.map(|price| to_usd(price * 3_600)),
        "data_size_mb": 0.0,
        "message": message,
        "hardware": hardware,
        "based_on_jobs": usual.jobs,
    })))
}

fn hardware_of(fields: &Map<String, Value>, gateway: &Gateway) -> Result<String, ApiError> {
    let text =
        |field: &str| fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let of_model = |model: &str| {
        let hardware = gateway.prices.hardware_of_model(model);
        hardware.map(str::to_owned).ok_or_else(|| ApiError::BadValue {
            field: "model".to_owned(),
            problem: format!("on which hardware {model:?} runs is not known"),
        })
    };
    if let Some(profile) = text("hardware_profile") {
        let model = profile_model(profile);
        return of_model(&model.map_err(|unknown| unknown_value("hardware_profile", unknown))?);
    }
    if let Some(model) = text("model") {
        return of_model(model);
    }
    Ok(text("hardware").unwrap_or(HARDWARE_DEFAULT).to_owned())
}

fn bad(field: &str, problem: &str) -> ApiError {
    ApiError::BadValue { field: field.to_owned(), problem: problem.to_owned() }
}

/// A limit in millionths of a dollar; None where there is to be none.
fn limit_amount(amount: &Value) -> Result<Option<i64>, ApiError> {
    if amount.is_null() {
        return Ok(None);
    }
    let usd = amount.as_f64().filter(|usd| (0.0..=LIMIT_USD_MAX).contains(usd));
    let usd = usd.ok_or_else(|| {
        bad("cost_limit_amount", "a number of dollars from 0 (none) to 1000000000, or null")
    })?;
    Ok(Some((usd * 1e6).round() as i64))
}

/// The budget with what a client has sent laid over it; None where it sent nothing of it.
pub(super) fn changed_budget(
    fields: &Map<String, Value>,
    mut budget: Budget,
) -> Result<Option<Budget>, ApiError> {
    let mut is_given = false;
    let mut given = |field: &str| fields.get(field).inspect(|_| is_given = true);
    let amount = given("cost_limit_amount");
    if let Some(amount) = amount {
        // Clients write 0 for none, since they need a number.
        budget.limit_micro_usd = limit_amount(amount)?.filter(|micro_usd| *micro_usd > 0);
        budget.switch = Some(budget.limit_micro_usd.is_some());
    }
    if let Some(enabled) = given("cost_limit_enabled") {
        let enabled = enabled.as_bool();
        let enabled =
            enabled.ok_or_else(|| bad("cost_limit_enabled", "true or false is needed"))?;
        if enabled && amount.is_some_and(Value::is_null) {
            return Err(bad("cost_limit_amount", "it is needed for a limit"));
        }
        budget.switch = Some(enabled);
    }
    if let Some(period) = given("cost_limit_period") {
        let word = period.as_str().ok_or_else(|| bad("cost_limit_period", "a text is needed"))?;
        budget.period = word
            .parse::<Period>()
            .map_err(|unknown| unknown_value("cost_limit_period", unknown))?;
    }
    if let Some(action) = given("cost_limit_action") {
        let word = action.as_str().ok_or_else(|| bad("cost_limit_action", "a text is needed"))?;
        budget.action = word
            .parse::<Action>()
            .map_err(|unknown| unknown_value("cost_limit_action", unknown))?;
    }
    Ok(is_given.then_some(budget))
}
