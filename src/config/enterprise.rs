//! `simpletuner-enterprise.yaml`, read as it is: a file of SimpleTuner's, most of which is about
//! other things. What it says of background polling and of the queue counts here too.

use std::path::Path;

use config::{Map, Value, ValueKind};

use super::error::ConfigError;
use super::layers::Layer;
use super::sources::Sources;

/// The keys that are shared, each with the flat name that SimpleTuner also has for it.
const SHARED: [(&str, Option<&str>); 4] = [
    ("background.job_status_polling.enabled", Some("job_polling_enabled")),
    ("background.job_status_polling.interval_seconds", Some("job_polling_interval")),
    ("background.queue_processing.enabled", None),
    ("background.queue_processing.interval_seconds", None),
];

/// Whether the name of the file says that it is SimpleTuner's.
pub(super) fn is_named_so(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "simpletuner-enterprise")
}

/// The shared keys of the file at `path`; the nested one goes before the flat one.
pub(super) fn layer(
    path: &Path,
    table: Map<String, Value>,
    sources: &Sources,
) -> Result<Layer, ConfigError> {
    let origin = path.display().to_string();
    let mut layer = Layer::default();
    for (key, flat) in SHARED {
        let said = find(&table, key).or_else(|| flat.and_then(|flat| find(&table, flat)));
        if let Some(value) = said {
            layer.set(key, &origin, interpolated(value, key, &origin, sources)?);
        }
    }
    Ok(layer)
}

fn find<'a>(table: &'a Map<String, Value>, key: &str) -> Option<&'a ValueKind> {
    let (name, rest) = match key.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (key, None),
    };
    match (&table.get(name)?.kind, rest) {
        (ValueKind::Nil, _) => None,
        (ValueKind::Table(below), Some(rest)) => find(below, rest),
        (_, Some(_)) => None,
        (value, None) => Some(value),
    }
}

/// The value, or that of the variable it names: SimpleTuner replaces `${NAME}` in this file.
fn interpolated(
    value: &ValueKind,
    key: &str,
    origin: &str,
    sources: &Sources,
) -> Result<ValueKind, ConfigError> {
    let name = match value {
        ValueKind::String(text) => text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')),
        _ => None,
    };
    let Some(name) = name else {
        return Ok(value.clone());
    };
    let text = sources.variable(name).ok_or_else(|| ConfigError::Refused {
        origin: origin.to_owned(),
        key: key.to_owned(),
        reason: format!("takes its value from the variable {name}, which is not set"),
    })?;
    Ok(ValueKind::from(text))
}
