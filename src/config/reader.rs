//! Reads one value at a time out of the merged layers: its type, its bounds, and where it is from.

use std::fmt::Display;
use std::ops::RangeInclusive;

use config::{Value, ValueKind};
use secrecy::{ExposeSecret, SecretString};

use super::error::{ConfigError, Problem};
use super::{DEFAULT_SOURCE, Setting, secrets};
use crate::domain::signature::SigningKey;

/// The most money that can be set, in dollars.
const USD_MAX: f64 = 1e9;

/// The longest text that an error repeats.
const SHOWN_CHARS: usize = 80;

/// Reads values by their whole key and keeps the record of them.
///
/// Numbers and booleans may also be text that reads as one, which is all an environment has.
pub(super) struct Reader<'a> {
    merged: &'a Value,
    settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(merged: &'a Value) -> Self {
        Self { merged, settings: Vec::new() }
    }

    /// Every setting that was read, in the order of reading.
    pub(super) fn into_settings(self) -> Vec<Setting> {
        self.settings
    }

    /// The value of `key`, which the defaults have.
    pub(super) fn find(&self, key: &str) -> Result<&'a Value, ConfigError> {
        let step = |value: &'a Value, name: &str| match &value.kind {
            ValueKind::Table(table) => table.get(name),
            _ => None,
        };
        key.split('.')
            .try_fold(self.merged, step)
            .ok_or_else(|| ConfigError::MissingDefault(key.to_owned()))
    }

    /// Who set `key`.
    pub(super) fn origin(&self, key: &str) -> Result<String, ConfigError> {
        self.find(key).map(origin_of)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> Result<bool, ConfigError> {
        let value = self.find(key)?;
        let read = as_boolean(&value.kind).ok_or_else(|| invalid(key, value, "true or false"))?;
        self.record(key, read.to_string(), value);
        Ok(read)
    }

    /// `true`, `false`, or nothing said.
    pub(super) fn optional_boolean(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        let value = self.find(key)?;
        if is_nothing(&value.kind) {
            self.record(key, "null".to_owned(), value);
            return Ok(None);
        }
        let allowed = "true, false or null";
        let read = as_boolean(&value.kind).ok_or_else(|| invalid(key, value, allowed))?;
        self.record(key, read.to_string(), value);
        Ok(Some(read))
    }

    /// A whole number within `bounds`.
    pub(super) fn whole<N>(
        &mut self,
        key: &str,
        bounds: RangeInclusive<N>,
    ) -> Result<N, ConfigError>
    where
        N: TryFrom<i64> + PartialOrd + Display,
    {
        let value = self.find(key)?;
        let read = as_whole(&value.kind).and_then(|number| N::try_from(number).ok());
        let read = read.filter(|number| bounds.contains(number)).ok_or_else(|| {
            let allowed = format!("a whole number from {} to {}", bounds.start(), bounds.end());
            invalid(key, value, &allowed)
        })?;
        self.record(key, read.to_string(), value);
        Ok(read)
    }

    /// A number above 0, at most 1.
    pub(super) fn share(&mut self, key: &str) -> Result<f64, ConfigError> {
        let value = self.find(key)?;
        let read = as_number(&value.kind).filter(|share| *share > 0.0 && *share <= 1.0);
        let read = read.ok_or_else(|| invalid(key, value, "a number above 0, at most 1"))?;
        self.record(key, read.to_string(), value);
        Ok(read)
    }

    /// A number of dollars in micro-dollars, or nothing said.
    pub(super) fn optional_usd(&mut self, key: &str) -> Result<Option<i64>, ConfigError> {
        let value = self.find(key)?;
        if is_nothing(&value.kind) {
            self.record(key, "null".to_owned(), value);
            return Ok(None);
        }
        let usd = as_number(&value.kind).filter(|usd| (0.0..=USD_MAX).contains(usd));
        let allowed = "a number of dollars from 0 to 1000000000, or null";
        let usd = usd.ok_or_else(|| invalid(key, value, allowed))?;
        self.record(key, usd.to_string(), value);
        #[expect(clippy::cast_possible_truncation, reason = "within a billion dollars")]
        Ok(Some((usd * 1e6).round() as i64))
    }

    /// A text that `parse` understands.
    pub(super) fn text<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Result<T, ConfigError> {
        let value = self.find(key)?;
        let read = parse_text(key, value, &parse)?;
        self.record(key, as_yaml(&value.kind), value);
        Ok(read)
    }

    /// A text that `parse` understands, or nothing said.
    pub(super) fn optional_text<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Result<Option<T>, ConfigError> {
        if is_nothing(&self.find(key)?.kind) {
            let value = self.find(key)?;
            self.record(key, "null".to_owned(), value);
            return Ok(None);
        }
        self.text(key, parse).map(Some)
    }

    /// Texts, each of which `parse` understands.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Result<Vec<T>, ConfigError> {
        let value = self.find(key)?;
        let read = parse_list(key, value, &parse)?;
        self.record(key, as_yaml(&value.kind), value);
        Ok(read)
    }

    /// A secret, or none.
    pub(super) fn secret(&mut self, key: &str) -> Result<Option<SecretString>, ConfigError> {
        let value = self.find(key)?;
        let text = match &value.kind {
            kind if is_nothing(kind) => None,
            ValueKind::String(text) => {
                Some(secrets::parse(text.trim()).map_err(|problem| refuse(key, value, problem))?)
            }
            _ => {
                return Err(refuse(key, value, Problem::refused("must be text in quotes")));
            }
        };
        self.record_secret(key, text.is_some(), value);
        Ok(text.map(SecretString::from))
    }

    /// The secret of a signature, or none.
    pub(super) fn signing_secret(
        &mut self,
        key: &str,
    ) -> Result<Option<SecretString>, ConfigError> {
        let secret = self.secret(key)?;
        if let Some(secret) = &secret
            && SigningKey::from_secret(secret.expose_secret()).is_err()
        {
            let problem = "must be base64, usually after whsec_, as the provider shows it";
            return Err(refuse(key, self.find(key)?, Problem::refused(problem)));
        }
        Ok(secret)
    }

    /// Any number of secrets.
    pub(super) fn secrets(&mut self, key: &str) -> Result<Vec<SecretString>, ConfigError> {
        let value = self.find(key)?;
        let shape = || refuse(key, value, Problem::refused("must be a list of texts in quotes"));
        let ValueKind::Array(items) = &value.kind else {
            return Err(shape());
        };
        let read = items.iter().map(|item| match &item.kind {
            ValueKind::String(text) if !text.trim().is_empty() => secrets::parse(text.trim())
                .map(SecretString::from)
                .map_err(|problem| refuse(key, value, problem)),
            _ => Err(shape()),
        });
        let read: Vec<_> = read.collect::<Result<_, _>>()?;
        self.record_secret(key, !read.is_empty(), value);
        Ok(read)
    }

    /// Remembers what `key` came to, `shown` in YAML.
    pub(super) fn record(&mut self, key: &str, shown: String, value: &Value) {
        self.settings.push(Setting { key: key.to_owned(), value: shown, source: origin_of(value) });
    }

    fn record_secret(&mut self, key: &str, is_set: bool, value: &Value) {
        let shown = if is_set { "<set>" } else { "<not set>" };
        self.record(key, shown.to_owned(), value);
    }
}

/// The text of `value` as `parse` understands it.
pub(super) fn parse_text<T>(
    key: &str,
    value: &Value,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Result<T, ConfigError> {
    match &value.kind {
        ValueKind::String(text) => {
            parse(text.trim()).map_err(|problem| refuse(key, value, problem))
        }
        // What the text had to be, `parse` says best.
        _ => match parse("") {
            Err(Problem::MustBe(allowed)) => Err(invalid(key, value, &allowed)),
            _ => Err(invalid(key, value, "text in quotes")),
        },
    }
}

fn parse_list<T>(
    key: &str,
    value: &Value,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Result<Vec<T>, ConfigError> {
    let ValueKind::Array(items) = &value.kind else {
        return Err(invalid(key, value, "a list, as in [\"a\", \"b\"]"));
    };
    let read = items.iter().map(|item| {
        // An item of a list does not know its source; the list does.
        let item = Value::new(Some(&origin_of(value)), item.kind.clone());
        parse_text(key, &item, &parse)
    });
    read.collect()
}

/// The number that the value is, or that its text reads as.
pub(super) fn as_number(kind: &ValueKind) -> Option<f64> {
    match kind {
        ValueKind::Float(number) => Some(*number),
        ValueKind::String(text) => text.trim().parse().ok(),
        #[expect(clippy::cast_precision_loss, reason = "the numbers asked for are small")]
        other => as_whole(other).map(|number| number as f64),
    }
}

fn as_whole(kind: &ValueKind) -> Option<i64> {
    match kind {
        ValueKind::I64(number) => Some(*number),
        ValueKind::U64(number) => i64::try_from(*number).ok(),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// YAML 1.1, which SimpleTuner reads, also has `yes` and `on`.
fn as_boolean(kind: &ValueKind) -> Option<bool> {
    match kind {
        ValueKind::Boolean(boolean) => Some(*boolean),
        ValueKind::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn is_nothing(kind: &ValueKind) -> bool {
    match kind {
        ValueKind::Nil => true,
        ValueKind::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Who said the value. A table that several sources added to has no origin of its own, but its
/// values have.
pub(super) fn origin_of(value: &Value) -> String {
    match (&value.kind, value.origin()) {
        (_, Some(origin)) => origin.to_owned(),
        (ValueKind::Table(table), None) if !table.is_empty() => {
            let mut origins: Vec<_> = table.values().map(origin_of).collect();
            origins.sort();
            origins.dedup();
            origins.join(", ")
        }
        _ => DEFAULT_SOURCE.to_owned(),
    }
}

pub(super) fn invalid(key: &str, value: &Value, allowed: &str) -> ConfigError {
    ConfigError::Invalid {
        origin: origin_of(value),
        key: key.to_owned(),
        allowed: allowed.to_owned(),
        found: show(&value.kind),
    }
}

pub(super) fn refuse(key: &str, value: &Value, problem: Problem) -> ConfigError {
    match problem {
        Problem::MustBe(allowed) => invalid(key, value, &allowed),
        Problem::Refused(reason) => {
            ConfigError::Refused { origin: origin_of(value), key: key.to_owned(), reason }
        }
    }
}

/// The value as an error may repeat it: short, on one line, and without credentials.
pub(super) fn show(kind: &ValueKind) -> String {
    match kind {
        ValueKind::Table(_) => "a section".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        // Before the @ of a URL there may be a password.
        ValueKind::String(text) if text.contains('@') => "a text with `@` (not shown)".to_owned(),
        ValueKind::String(text) => {
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            let shown = shown.replace(char::is_control, " ");
            let more = if text.chars().count() > SHOWN_CHARS { "…" } else { "" };
            format!("`{shown}{more}`")
        }
        other => format!("`{}`", as_yaml(other)),
    }
}

/// The value in YAML on one line, tables in the order of their keys.
pub(super) fn as_yaml(kind: &ValueKind) -> String {
    match kind {
        ValueKind::Nil => "null".to_owned(),
        // A Rust string literal and a double-quoted one of YAML differ only for control characters
        // that no setting keeps.
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| as_yaml(&item.kind)).collect();
            format!("[{}]", items.join(", "))
        }
        ValueKind::Table(table) => {
            let entry =
                |(name, value): (&String, &Value)| format!("{name:?}: {}", as_yaml(&value.kind));
            let mut entries: Vec<_> = table.iter().map(entry).collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
