//! The layers of a configuration, laid over one another.
//!
//! Each value keeps the name of its source through the merge, so that an error and
//! `jobsyncd check-config` can tell where it came from.

use std::fmt;
use std::path::{Path, PathBuf};

use config::{FileFormat, Map, Source, Value, ValueKind};

use super::error::ConfigError;
use super::known_keys::{KnownKeys, whole_key};
use super::reader::show;
use super::sources::{Flags, Sources};
use super::{DEFAULT_SOURCE, DEFAULT_YAML, enterprise, environment, secrets};

/// What one source says: whole keys (`server.bind`) and their values.
#[derive(Clone, Default)]
pub(super) struct Layer {
    values: Map<String, Value>,
}

impl Layer {
    /// Says that `key` is `value`, on the word of `origin`.
    pub(super) fn set(&mut self, key: &str, origin: &str, value: impl Into<ValueKind>) {
        self.values.insert(key.to_owned(), stamp(value.into(), &origin.to_owned()));
    }

    /// The text this layer gives `key`, if any.
    fn text(&self, key: &str) -> Option<&str> {
        match &self.values.get(key)?.kind {
            ValueKind::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// Values may be secrets, so only the keys are shown.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.values.clone())
    }
}

/// Everything `sources` say, the later over the earlier.
pub(super) fn merge(sources: &Sources) -> Result<Value, ConfigError> {
    let known = KnownKeys::of(parse(DEFAULT_YAML, FileFormat::Yaml, DEFAULT_SOURCE)?);
    let environment = environment::layer(sources, &known)?;
    let file = match sources.file() {
        Some(path) => file_layer(path, &known, sources)?,
        None => Layer::default(),
    };
    let enterprise = match enterprise_file(&environment, &file, sources) {
        Some(path) => enterprise::layer(&path, read_table(&path)?, sources)?,
        None => Layer::default(),
    };

    let merged = config::Config::builder()
        .add_source(default_layer(&known))
        .add_source(enterprise)
        .add_source(file)
        .add_source(secrets::credentials(sources)?)
        .add_source(environment)
        .add_source(flag_layer(&sources.flags))
        .build()
        .map_err(|error| syntax("the merged configuration", &error.to_string()))?;
    Ok(merged.cache)
}

fn default_layer(known: &KnownKeys) -> Layer {
    let mut layer = Layer::default();
    for (key, default) in known.iter() {
        layer.set(key, DEFAULT_SOURCE, default.clone());
    }
    layer
}

/// The configuration file, which may also be SimpleTuner's own: then only that is taken from it
/// which we share with it.
fn file_layer(path: &Path, known: &KnownKeys, sources: &Sources) -> Result<Layer, ConfigError> {
    let table = read_table(path)?;
    if enterprise::is_named_so(path) {
        return enterprise::layer(path, table, sources);
    }
    let mut layer = Layer::default();
    gather("", table, known, &path.display().to_string(), &mut layer)?;
    Ok(layer)
}

/// The enterprise file that the environment, or else the configuration file, points to.
fn enterprise_file(environment: &Layer, file: &Layer, sources: &Sources) -> Option<PathBuf> {
    let key = "enterprise_config";
    if let Some(path) = environment.text(key) {
        return Some(PathBuf::from(path));
    }
    let directory = sources.file().and_then(Path::parent).unwrap_or(Path::new(""));
    file.text(key).map(|path| directory.join(path))
}

fn flag_layer(flags: &Flags) -> Layer {
    let mut layer = Layer::default();
    if let Some(bind) = &flags.bind {
        layer.set("server.bind", "--bind", bind.as_str());
    }
    if let Some(url) = &flags.database_url {
        layer.set("database.url", "--database-url", url.as_str());
    }
    layer
}

/// Puts the keys of `table` into `layer`, each of which must be known.
fn gather(
    section: &str,
    table: Map<String, Value>,
    known: &KnownKeys,
    origin: &str,
    layer: &mut Layer,
) -> Result<(), ConfigError> {
    let mut entries: Vec<_> = table.into_iter().collect();
    // A table is hashed: without an order, which of two errors is told would be left to chance.
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (name, value) in entries {
        let key = whole_key(section, &name);
        match (value.kind, known.default_of(&key)) {
            // A section whose keys are all commented out says nothing.
            (ValueKind::Nil, None) if known.is_section(&key) => {}
            (ValueKind::Table(table), None) if known.is_section(&key) => {
                gather(&key, table, known, origin, layer)?;
            }
            (other, None) if known.is_section(&key) => {
                return Err(ConfigError::Invalid {
                    origin: origin.to_owned(),
                    key,
                    allowed: "a section with keys below it".to_owned(),
                    found: show(&other),
                });
            }
            (ValueKind::Nil, Some(default)) => layer.set(&key, origin, default.clone()),
            (value, Some(_)) => layer.set(&key, origin, value),
            (_, None) => return Err(known.unknown(key, origin)),
        }
    }
    Ok(())
}

fn read_table(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let format = if is_toml { FileFormat::Toml } else { FileFormat::Yaml };
    parse(&text, format, &path.display().to_string())
}

/// The keys and values of `text`, which stands in `origin`.
pub(super) fn parse(
    text: &str,
    format: FileFormat,
    origin: &str,
) -> Result<Map<String, Value>, ConfigError> {
    let text = text.trim_start_matches('\u{feff}');
    if says_nothing(text) {
        return Ok(Map::new());
    }
    match config::File::from_str(text, format).collect() {
        Ok(table) => Ok(table),
        // A cause of the library's own means that the text was understood, but is no table. It
        // would repeat the text, which may be a secret.
        Err(config::ConfigError::FileParse { cause, .. })
            if cause.is::<Box<config::ConfigError>>() =>
        {
            Err(syntax(origin, "the top level must be keys and their values"))
        }
        Err(config::ConfigError::FileParse { cause, .. }) => {
            Err(syntax(origin, &cause.to_string()))
        }
        Err(error) => Err(syntax(origin, &error.to_string())),
    }
}

/// Whether there are only comments; the parser takes an empty document for a wrong one.
fn says_nothing(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---" || line == "...")
}

fn syntax(origin: &str, reason: &str) -> ConfigError {
    // The TOML parser quotes the line at fault behind a bar; it may hold a secret.
    let lines: Vec<_> = reason.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
    ConfigError::Syntax { origin: origin.to_owned(), reason: lines.join(": ") }
}

/// The value and all inside it, as said by `origin`.
fn stamp(kind: ValueKind, origin: &String) -> Value {
    let inside = |(name, value): (String, Value)| match value.kind {
        // The merge leaves a table no origin. One with values shows theirs; for an empty one, which
        // no key takes, nothing is the same and keeps its origin.
        ValueKind::Table(table) if table.is_empty() => (name, stamp(ValueKind::Nil, origin)),
        kind => (name, stamp(kind, origin)),
    };
    let kind = match kind {
        ValueKind::Table(table) => ValueKind::Table(table.into_iter().map(inside).collect()),
        other => other,
    };
    Value::new(Some(origin), kind)
}
