//! Reads the merged layers into the final structs, in the order of the default configuration. The
//! bounds stand here and, for people, in the comments of `etc/jobsyncd.yaml`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use chrono::NaiveDate;
use config::{Value, ValueKind};
use url::Url;

use super::database_url::Place;
use super::error::{ConfigError, Problem};
use super::reader::{Reader, as_number, as_yaml, invalid, origin_of, parse_text, refuse};
use super::sources::Sources;
use super::{
    Cog, Config, Costs, Database, Events, Logs, Polling, Progress, Providers, Queue,
    QueueProcessing, Reconciliation, Replicate, Server, SimpleTuner, database_url, values,
};
use crate::domain::budget::Budget;
use crate::domain::cost::Hardware;
use crate::domain::model_filter::ModelFilter;
use crate::domain::webhook_urls;

const DAY_SECONDS: u64 = 86_400;

/// Reads everything; the warnings are still to come.
pub(super) fn read(merged: &Value, sources: &Sources) -> Result<Config, ConfigError> {
    let mut reader = Reader::new(merged);
    let r = &mut reader;
    let server = server(r)?;
    let database = database(r, sources)?;
    let network = super::network::read(r, sources)?;
    let mut providers = Providers { replicate: replicate(r)?, cog: cog(r)? };
    if let (None, super::DatabaseUrl::Sqlite(path)) =
        (&providers.replicate.token_file, &database.url)
    {
        providers.replicate.token_file = Some(path.with_file_name(TOKEN_FILE_NAME));
    }
    let polling = polling(r)?;
    let reconciliation = Reconciliation {
        interval_seconds: r
            .whole("background.reconciliation.interval_seconds", 10..=DAY_SECONDS)?,
    };
    let queue_processing = QueueProcessing {
        enabled: r.boolean("background.queue_processing.enabled")?,
        interval_seconds: r.whole("background.queue_processing.interval_seconds", 1..=3600)?,
    };
    let events = Events {
        max_connections_per_ip: r.whole("events.max_connections_per_ip", 1..=100_000)?,
        max_connections: r.whole("events.max_connections", 1..=100_000)?,
        heartbeat_seconds: r.whole("events.heartbeat_seconds", 1..=300)?,
        simpletuner_compat: r.boolean("events.simpletuner_compat")?,
        retention_days: r.whole("events.retention_days", 1..=3650)?,
        retention_bytes: megabytes(r, "events.retention_mb")?,
    };
    let logs = Logs {
        retention_days: r.whole("logs.retention_days", 1..=3650)?,
        retention_bytes: megabytes(r, "logs.retention_mb")?,
        job_bytes_max: r.whole::<usize>("logs.max_job_mb", 1..=64)? * 1024 * 1024,
    };
    let queue = Queue {
        max_concurrent: r.whole("queue.max_concurrent", 1..=10_000)?,
        user_max_concurrent: r.whole("queue.user_max_concurrent", 1..=10_000)?,
        max_attempts: r.whole("queue.max_attempts", 1..=100)?,
    };
    let costs = Costs { budget: budget(r)? };
    let notifications = super::notifications::read(r)?;
    let config_folder =
        r.optional_text("simpletuner.config_folder", |path| Ok(PathBuf::from(path)))?;
    let progress = Progress { ttl_seconds: r.whole("progress.ttl_seconds", 1..=3600)? };
    // The layers have followed it already; here it is only put on record.
    r.optional_text("enterprise_config", |path| Ok(PathBuf::from(path)))?;
    Ok(Config {
        server,
        database,
        network,
        providers,
        polling,
        reconciliation,
        queue_processing,
        events,
        simpletuner: SimpleTuner { config_folder },
        logs,
        queue,
        costs,
        notifications,
        progress,
        warnings: Vec::new(),
        settings: reader.into_settings(),
    })
}

/// Where a token is kept that is set through the API, beside the database.
const TOKEN_FILE_NAME: &str = "replicate.token";

/// A bound on what is kept, in bytes.
fn megabytes(r: &mut Reader<'_>, key: &'static str) -> Result<i64, ConfigError> {
    Ok(r.whole::<i64>(key, 1..=1_000_000)? * 1024 * 1024)
}

fn server(r: &mut Reader<'_>) -> Result<Server, ConfigError> {
    let bind = r.text("server.bind", values::bind)?;
    let trusted_proxies = r.list("server.trusted_proxies", values::network)?;
    let workers: usize = r.whole("server.workers", 0..=256)?;
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    Ok(Server {
        bind,
        trusted_proxies,
        workers: NonZeroUsize::new(workers).unwrap_or_else(cores),
        api_keys: r.secrets("server.api_keys")?,
        allowed_hosts: r.list("server.allowed_hosts", values::host)?,
        allowed_origins: r.list("server.allowed_origins", values::origin)?,
        request_timeout_seconds: r.whole("server.request_timeout_seconds", 1..=300)?,
        max_body_bytes: r.whole::<usize>("server.max_body_mb", 1..=1024)? * 1024 * 1024,
    })
}

fn database(r: &mut Reader<'_>, sources: &Sources) -> Result<Database, ConfigError> {
    let key = "database.url";
    let value = r.find(key)?;
    let (url, chosen_because, folders_within) = match &value.kind {
        ValueKind::String(text) if !text.trim().is_empty() => {
            let url = database_url::parse(text.trim()).map_err(|bad| refuse(key, value, bad))?;
            (url, format!("set by {}", origin_of(value)), None)
        }
        ValueKind::String(_) | ValueKind::Nil => {
            let Place { folder, reason, folders_within } =
                database_url::automatic(sources).map_err(|bad| refuse(key, value, bad))?;
            (database_url::within(&folder), reason, folders_within)
        }
        _ => {
            return Err(refuse(key, value, Problem::refused("must be text in quotes")));
        }
    };
    r.record(key, format!("{:?}", url.to_string()), value);
    Ok(Database { url, chosen_because, folders_within })
}

fn replicate(r: &mut Reader<'_>) -> Result<Replicate, ConfigError> {
    let base_url = r.text("providers.replicate.base_url", values::base_url)?;
    let api_token = r.secret("providers.replicate.api_token")?;
    let token_file = r.optional_text("providers.replicate.token_file", |path| Ok(path.into()))?;
    let trainings = r.boolean("providers.replicate.trainings")?;
    let (webhook_url, webhook_url_is_rewritten) = webhook_url(r, "replicate")?;
    Ok(Replicate {
        base_url,
        api_token,
        token_file,
        trainings,
        webhook_url,
        webhook_url_is_rewritten,
        webhook_secret: r.signing_secret("providers.replicate.webhook_secret")?,
        webhook_require_signature: r.boolean("providers.replicate.webhook_require_signature")?,
        webhook_allowed_ips: r.list("providers.replicate.webhook_allowed_ips", values::network)?,
        request_timeout_seconds: r.whole("providers.replicate.request_timeout_seconds", 1..=300)?,
        rate_limit_share: r.share("providers.replicate.rate_limit_share")?,
        models: models(r)?,
        hf_token: r.secret("providers.replicate.hf_token")?,
        submission_input: r
            .optional_text("providers.replicate.submission_input", values::input_name)?,
        submit_settle_seconds: r.whole("providers.replicate.submit_settle_seconds", 1..=3600)?,
        hardware_info: hardware_info(r)?,
        model_hardware: model_hardware(r)?,
    })
}

fn cog(r: &mut Reader<'_>) -> Result<Cog, ConfigError> {
    let base_url = r.optional_text("providers.cog.base_url", values::base_url)?;
    let (webhook_url, webhook_url_is_rewritten) = webhook_url(r, "cog")?;
    Ok(Cog {
        base_url,
        webhook_url,
        webhook_url_is_rewritten,
        webhook_allowed_ips: r.list("providers.cog.webhook_allowed_ips", values::network)?,
        request_timeout_seconds: r.whole("providers.cog.request_timeout_seconds", 1..=300)?,
        hardware: r.optional_text("providers.cog.hardware", |text| Ok(text.to_owned()))?,
    })
}

/// Where a provider reaches our webhook, and whether a proxy changes the path on the way. Where none does, it is
/// that of the route.
fn webhook_url(r: &mut Reader<'_>, provider: &str) -> Result<(Option<Url>, bool), ConfigError> {
    let key = format!("providers.{provider}.webhook_url");
    let url = r.optional_text(&key, values::webhook_url)?;
    let is_rewritten = r.boolean(&format!("{key}_is_rewritten"))?;
    match url {
        Some(url) if !is_rewritten => match webhook_urls::routed(&url, provider) {
            Ok(url) => Ok((Some(url), false)),
            Err(wrong) => Err(refuse(&key, r.find(&key)?, Problem::Refused(wrong.to_string()))),
        },
        url => Ok((url, is_rewritten)),
    }
}

fn models(r: &mut Reader<'_>) -> Result<ModelFilter, ConfigError> {
    let key = "providers.replicate.models";
    let allowed = "\"*\" or owner/name with * for any characters, as in acme/*";
    let patterns = r.list(key, |text| match ModelFilter::new(&[text]) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Problem::must_be(allowed)),
    })?;
    let value = r.find(key)?;
    if patterns.is_empty() {
        return Err(refuse(key, value, Problem::refused("must have at least one pattern")));
    }
    ModelFilter::new(&patterns).map_err(|_| invalid(key, value, allowed))
}

/// What may be spent.
fn budget(r: &mut Reader<'_>) -> Result<Budget, ConfigError> {
    let limit_micro_usd = r.optional_usd("costs.limit_usd")?;
    let period = r.text("costs.period", |text| {
        text.parse().map_err(|_| Problem::must_be("daily, weekly or monthly"))
    })?;
    let action =
        r.text("costs.action", |text| text.parse().map_err(|_| Problem::must_be("warn or block")))?;
    let warn_at_percent = r.whole("costs.warn_at_percent", 1..=100)?;
    Ok(Budget { limit_micro_usd, switch: None, period, action, warn_at_percent })
}

fn model_hardware(r: &mut Reader<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let key = "providers.replicate.model_hardware";
    let value = r.find(key)?;
    let ValueKind::Table(table) = &value.kind else {
        return Err(invalid(key, value, "a section of models"));
    };
    let mut all = BTreeMap::new();
    for (model, hardware) in table {
        let key = format!("{key}.{model}");
        let hardware = parse_text(&key, hardware, |text| match text {
            "" => Err(Problem::must_be("the name of a piece of hardware, as in h100-x2")),
            text => Ok(text.to_owned()),
        })?;
        all.insert(model.clone(), hardware);
    }
    r.record(key, as_yaml(&value.kind), value);
    Ok(all)
}

fn hardware_info(r: &mut Reader<'_>) -> Result<BTreeMap<String, Hardware>, ConfigError> {
    let key = "providers.replicate.hardware_info";
    let value = r.find(key)?;
    let ValueKind::Table(table) = &value.kind else {
        return Err(invalid(key, value, "a section of hardware names"));
    };
    let mut all = BTreeMap::new();
    for (name, entry) in table {
        all.insert(name.clone(), one_hardware(&format!("{key}.{name}"), name, entry)?);
    }
    r.record(key, as_yaml(&value.kind), value);
    Ok(all)
}

fn one_hardware(key: &str, id: &str, entry: &Value) -> Result<Hardware, ConfigError> {
    let allowed = "a section with cost_per_second_usd or prices, and perhaps name";
    let ValueKind::Table(table) = &entry.kind else {
        return Err(invalid(key, entry, allowed));
    };
    let known = ["name", "cost_per_second_usd", "prices"];
    if let Some(unknown) = table.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(ConfigError::UnknownKey {
            origin: origin_of(entry),
            key: format!("{key}.{unknown}"),
            hint: format!("allowed here: {}", known.join(", ")),
        });
    }
    let name = match table.get("name") {
        Some(name) => parse_text(&format!("{key}.name"), name, |text| Ok(text.to_owned()))?,
        None => id.to_owned(),
    };
    let mut prices = BTreeMap::new();
    if let Some(price) = table.get("cost_per_second_usd") {
        let price = one_price(&format!("{key}.cost_per_second_usd"), price)?;
        prices.insert(NaiveDate::MIN, price);
    }
    if let Some(dated) = table.get("prices") {
        let key = format!("{key}.prices");
        let ValueKind::Table(dated) = &dated.kind else {
            return Err(invalid(&key, dated, "a section of days, as in {\"2026-03-01\": 0.0014}"));
        };
        for (day, price) in dated {
            let since = day.parse().map_err(|_| invalid(&key, price, "a section of days"))?;
            prices.insert(since, one_price(&format!("{key}.{day}"), price)?);
        }
    }
    if prices.is_empty() {
        return Err(ConfigError::Refused {
            origin: origin_of(entry),
            key: format!("{key}.cost_per_second_usd"),
            reason: "is missing".to_owned(),
        });
    }
    Ok(Hardware { name, prices })
}

fn one_price(key: &str, price: &Value) -> Result<i64, ConfigError> {
    as_number(&price.kind).and_then(values::micro_usd).ok_or_else(|| {
        invalid(key, price, "a number of dollars from 0 to 1 with at most 6 decimals")
    })
}

fn polling(r: &mut Reader<'_>) -> Result<Polling, ConfigError> {
    let enabled = "background.job_status_polling.enabled";
    let interval = "background.job_status_polling.interval_seconds";
    Ok(Polling {
        explicit: r.optional_boolean(enabled)?,
        explicit_source: r.origin(enabled)?,
        interval_seconds: r.whole(interval, 1..=DAY_SECONDS)?,
        interval_source: r.origin(interval)?,
    })
}
