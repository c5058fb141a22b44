//! The keys there are: those of the embedded defaults, and no others.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};

use super::error::ConfigError;

/// How alike a key and a known one must be (0 to 1) to take it for a slip of the pen.
const ALIKE: f64 = 0.75;

/// Every whole key (`server.bind`) with its default.
pub(super) struct KnownKeys {
    defaults: BTreeMap<String, ValueKind>,
}

impl KnownKeys {
    /// The keys of `table`. A table in it is a section, and an empty one a value whose keys are the
    /// user's own (names of hardware).
    pub(super) fn of(table: Map<String, Value>) -> Self {
        let mut defaults = BTreeMap::new();
        collect("", table, &mut defaults);
        Self { defaults }
    }

    /// Every key with its default.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &ValueKind)> {
        self.defaults.iter().map(|(key, default)| (key.as_str(), default))
    }

    /// The default of `key`, if it is a key and not a section.
    pub(super) fn default_of(&self, key: &str) -> Option<&ValueKind> {
        self.defaults.get(key)
    }

    /// Whether there are keys below `key`.
    pub(super) fn is_section(&self, key: &str) -> bool {
        self.sections().any(|section| section == key)
    }

    /// The error for a key that is not known.
    pub(super) fn unknown(&self, key: String, origin: &str) -> ConfigError {
        let hint = match self.nearest(&key) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("allowed here: {}", self.beside(&key).join(", ")),
        };
        ConfigError::UnknownKey { origin: origin.to_owned(), key, hint }
    }

    /// Every section once for each key below it.
    fn sections(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().flat_map(|key| key.match_indices('.').map(|(dot, _)| &key[..dot]))
    }

    /// What was probably meant: a key that is written nearly the same, or the same name elsewhere,
    /// or the key that this one is put below as if that were a section.
    fn nearest(&self, key: &str) -> Option<&str> {
        let alike = |known: &str| strsim::normalized_damerau_levenshtein(key, known);
        let candidates = || self.defaults.keys().map(String::as_str).chain(self.sections());
        let above = key.rsplit_once('.').map_or("", |(above, _)| above);
        candidates()
            .filter(|known| alike(known) >= ALIKE)
            .max_by(|a, b| alike(a).total_cmp(&alike(b)))
            .or_else(|| candidates().find(|known| last_name(known) == last_name(key)))
            .or_else(|| self.defaults.keys().find(|known| *known == above).map(String::as_str))
    }

    /// The names in the section that `key` was put into, or at the top if there is no such section.
    fn beside(&self, key: &str) -> Vec<&str> {
        let section = key.rsplit_once('.').map(|(section, _)| section);
        let prefix = section.filter(|s| self.is_section(s)).map(|s| format!("{s}."));
        let prefix = prefix.unwrap_or_default();
        let below = self.defaults.keys().filter_map(|known| known.strip_prefix(&prefix));
        let mut names: Vec<_> = below.filter_map(|rest| rest.split('.').next()).collect();
        names.dedup();
        names
    }
}

fn collect(prefix: &str, table: Map<String, Value>, into: &mut BTreeMap<String, ValueKind>) {
    for (name, value) in table {
        let key = whole_key(prefix, &name);
        match value.kind {
            ValueKind::Table(table) if !table.is_empty() => collect(&key, table, into),
            kind => {
                into.insert(key, kind);
            }
        }
    }
}

/// `name` in the section `prefix`, which is empty at the top.
pub(super) fn whole_key(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn last_name(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
