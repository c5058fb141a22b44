//! What the environment says: `JOBSYNCD__SECTION__KEY`, and the names that others gave.

use config::{FileFormat, Value, ValueKind};

use super::error::ConfigError;
use super::known_keys::KnownKeys;
use super::layers::{Layer, parse};
use super::sources::Sources;

const PREFIX: &str = "JOBSYNCD__";

/// One API key. It is what most people have, and a key in a list of one is easily mistaken.
const ONE_API_KEY: &str = "JOBSYNCD__SERVER__API_KEY";

/// The environment's layer: a variable of ours beats the name that Replicate's own tools use, and
/// SimpleTuner's poll interval beats ours.
pub(super) fn layer(sources: &Sources, known: &KnownKeys) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    let adopt = |layer: &mut Layer, variable: &str, key: &str| {
        if let Some(text) = sources.variable(variable) {
            layer.set(key, variable, text);
        }
    };
    adopt(&mut layer, "REPLICATE_API_TOKEN", "providers.replicate.api_token");
    adopt(&mut layer, "HF_TOKEN", "providers.replicate.hf_token");
    adopt(&mut layer, "SIMPLETUNER_ENTERPRISE_CONFIG", "enterprise_config");
    if let Some(key) = sources.variable(ONE_API_KEY) {
        layer.set("server.api_keys", ONE_API_KEY, vec![key]);
    }
    for (variable, text) in &sources.environment {
        if let Some(path) = variable.strip_prefix(PREFIX)
            && variable != ONE_API_KEY
        {
            let key = path.to_ascii_lowercase().replace("__", ".");
            let value = value(variable, &key, text, known)?;
            layer.set(&key, variable, value);
        }
    }
    adopt(
        &mut layer,
        "SIMPLETUNER_JOB_POLL_INTERVAL",
        "background.job_status_polling.interval_seconds",
    );
    Ok(layer)
}

/// The variable's text as the kind of value its key takes. Numbers and booleans stay text: the
/// reader knows what it wants.
fn value(
    variable: &str,
    key: &str,
    text: &str,
    known: &KnownKeys,
) -> Result<ValueKind, ConfigError> {
    let Some(default) = known.default_of(key) else {
        if known.is_section(key) {
            return Err(ConfigError::Refused {
                origin: variable.to_owned(),
                key: key.to_owned(),
                reason: format!("is a section: set a key of it, as in {variable}__KEY"),
            });
        }
        return Err(known.unknown(key.to_owned(), variable));
    };
    let text = text.trim();
    Ok(match default {
        _ if text.is_empty() || text == "null" => default.clone(),
        ValueKind::Array(_) => ValueKind::Array(items(text)),
        ValueKind::Table(_) => table(variable, text)?,
        _ => ValueKind::from(text),
    })
}

/// The items of `a, b` or `[a, "b"]`: all of them text.
fn items(text: &str) -> Vec<Value> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let items = inner.split(',').map(|item| item.trim().trim_matches(['"', '\'']));
    items.filter(|item| !item.is_empty()).map(Value::from).collect()
}

/// The table that `text` is in YAML, as in `{gpu-t4: {cost_per_second_usd: 0.000225}}`.
fn table(variable: &str, text: &str) -> Result<ValueKind, ConfigError> {
    Ok(ValueKind::Table(parse(text, FileFormat::Yaml, variable)?))
}
