//! Secrets in what a client submits. They are handed to the provider, and neither stored nor shown.

use serde_json::{Map, Value};

/// A secret that was taken out, and where it belongs.
#[derive(Clone, PartialEq, Eq)]
struct SecretInput {
    /// The keys that lead to it; a place in a list is its number.
    path: Vec<String>,
    value: String,
}

/// The secrets of one submission. They live in memory alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretInputs(Vec<SecretInput>);

impl std::fmt::Debug for SecretInputs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

impl SecretInputs {
    /// Secrets that are given again by their names, for the places in `within` from which they were taken.
    ///
    /// # Errors
    /// The names of those that are missing.
    pub fn given_again(
        names: &[String],
        within: &Value,
        given: &Map<String, Value>,
    ) -> Result<Self, Vec<String>> {
        let mut places = Vec::new();
        walk_empty(within, &mut Vec::new(), &mut places);
        let (mut secrets, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            let path = places.iter().find(|path| path.join(".") == *name);
            let value = given.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            match (path, value) {
                (Some(path), Some(value)) => {
                    secrets.push(SecretInput { path: path.clone(), value: value.to_owned() });
                }
                _ => missing.push(name.clone()),
            }
        }
        if missing.is_empty() { Ok(Self(secrets)) } else { Err(missing) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where they belong, as in `config.hf_token`.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|secret| secret.path.join(".")).collect()
    }

    /// Puts them back to where they were.
    pub fn restore(&self, into: &mut Value) {
        for SecretInput { path, value } in &self.0 {
            if let Some(place) = find(into, path) {
                *place = Value::String(value.clone());
            }
        }
    }
}

fn find<'a>(within: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(within, |value, key| match value {
        Value::Object(fields) => fields.get_mut(key),
        Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The places where nothing stands.
fn walk_empty(value: &Value, path: &mut Vec<String>, places: &mut Vec<Vec<String>>) {
    let mut deeper = |key: String, value: &Value| {
        path.push(key);
        walk_empty(value, path, places);
        path.pop();
    };
    match value {
        Value::Null => places.push(path.clone()),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| deeper(key.clone(), value));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| deeper(index.to_string(), value));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What stands in the place of a secret. Whoever reads it knows that there was one.
const PLACEHOLDER: Value = Value::Null;

/// Takes every secret out of `value`: texts under a name that secrets have, and texts that look like
/// the tokens of services that trainings use.
pub fn take_secrets(value: &mut Value) -> SecretInputs {
    let mut taken = Vec::new();
    walk(value, &mut Vec::new(), false, &mut taken);
    SecretInputs(taken)
}

fn walk(value: &mut Value, path: &mut Vec<String>, is_named: bool, taken: &mut Vec<SecretInput>) {
    match value {
        Value::String(text) => {
            if !text.is_empty() && (is_named || is_token(text)) {
                taken.push(SecretInput { path: path.clone(), value: std::mem::take(text) });
                *value = PLACEHOLDER;
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                walk(item, path, is_named, taken);
                path.pop();
            }
        }
        Value::Object(fields) => walk_fields(fields, path, taken),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn walk_fields(
    fields: &mut Map<String, Value>,
    path: &mut Vec<String>,
    taken: &mut Vec<SecretInput>,
) {
    for (name, value) in fields {
        path.push(name.clone());
        walk(value, path, is_secret_name(name), taken);
        path.pop();
    }
}

/// Ends of names, without dashes and underscores, of fields that hold secrets.
const SECRET_ENDS: [&str; 8] = [
    "token",
    "apikey",
    "secret",
    "secretkey",
    "accesskey",
    "accesskeyid",
    "password",
    "secretaccesskey",
];

/// Names that end like a secret's and hold none: words of a text encoder's vocabulary.
const NO_SECRETS: [&str; 6] = [
    "prompttoken",
    "triggertoken",
    "placeholdertoken",
    "instancetoken",
    "specialtoken",
    "padtoken",
];

/// Whether a field of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let letters: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| letters.ends_with(end));
    ends(&SECRET_ENDS) && !ends(&NO_SECRETS)
}

/// The beginnings of tokens: Hugging Face, Replicate, GitHub, webhooks, AWS.
const TOKEN_STARTS: [&str; 6] = ["hf_", "r8_", "ghp_", "github_pat_", "whsec_", "AKIA"];
/// How many letters and digits follow at least.
const TOKEN_CHARS_MIN: usize = 16;

pub(super) fn is_token(text: &str) -> bool {
    TOKEN_STARTS.iter().any(|start| {
        text.strip_prefix(start).is_some_and(|rest| {
            rest.len() >= TOKEN_CHARS_MIN
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_taken_from_any_depth_and_put_back_where_they_were() {
        let submitted = json!({
            "hf_token": "hf_abcdefghijklmnopqrstuv",
            "steps": 1000,
            "publishing": [{"provider": "s3", "access_key": "AK", "secret-key": "SK"}],
            "note": "r8_0123456789abcdef0123456789",
        });
        let mut stored = submitted.clone();
        let secrets = take_secrets(&mut stored);
        assert_eq!(
            stored,
            json!({
                "hf_token": null,
                "steps": 1000,
                "publishing": [{"provider": "s3", "access_key": null, "secret-key": null}],
                "note": null,
            })
        );
        let mut names = secrets.names();
        names.sort_unstable();
        assert_eq!(
            names,
            ["hf_token", "note", "publishing.0.access_key", "publishing.0.secret-key"]
        );
        assert!(!format!("{secrets:?}").contains("SK"));
        let given = json!({
            "hf_token": "hf_abcdefghijklmnopqrstuv", "note": "r8_0123456789abcdef0123456789",
            "publishing.0.access_key": "AK", "publishing.0.secret-key": "SK",
        });
        let Value::Object(mut given) = given else { panic!("an object") };
        let again = SecretInputs::given_again(&secrets.names(), &stored, &given);
        let again = again.expect("all of them");
        given.remove("note");
        let missing = SecretInputs::given_again(&secrets.names(), &stored, &given);
        assert_eq!(missing, Err(vec!["note".to_owned()]));
        for secrets in [secrets, again] {
            let mut restored = stored.clone();
            secrets.restore(&mut restored);
            assert_eq!(restored, submitted);
        }
    }

    #[test]
    fn what_only_sounds_like_a_secret_stays() {
        let submitted = json!({
            "trigger_token": "sks", "token_count": 5, "tokenizer_max_length": "77",
            "secretary": "x", "wandb_api_key": "", "hub_model_id": "me/lora", "text": "hf_short",
        });
        let mut stored = submitted.clone();
        assert!(take_secrets(&mut stored).is_empty());
        assert_eq!(stored, submitted);
    }
}
