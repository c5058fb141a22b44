//! The credentials that systemd hands over (`LoadCredential=`): files in a directory only the
//! service can read, which beats an environment that every child inherits.

use std::io::ErrorKind;
use std::path::Path;

use config::ValueKind;

use super::error::{ConfigError, Problem};
use super::layers::Layer;
use super::sources::Sources;

/// The layer of the credentials that are there. An empty one counts as missing, and the API keys
/// stand one a line.
pub(super) fn credentials(sources: &Sources) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    let Some(directory) = sources.variable("CREDENTIALS_DIRECTORY").map(Path::new) else {
        return Ok(layer);
    };
    let single = [
        ("replicate-api-token", "providers.replicate.api_token"),
        ("replicate-webhook-secret", "providers.replicate.webhook_secret"),
        ("huggingface-token", "providers.replicate.hf_token"),
    ];
    for (name, key) in single {
        let path = directory.join(name);
        if let Some(text) = read(&path)? {
            layer.set(key, &path.display().to_string(), text);
        }
    }
    let path = directory.join("jobsyncd-api-key");
    if let Some(text) = read(&path)? {
        let keys = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<ValueKind> = keys.map(ValueKind::from).collect();
        layer.set("server.api_keys", &path.display().to_string(), keys);
    }
    Ok(layer)
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() })
        }
    }
}

/// A secret that can stand in an HTTP header: one line of visible ASCII.
pub(super) fn parse(text: &str) -> Result<&str, Problem> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(Problem::refused("must be one line of visible ASCII characters, without spaces"))
    }
}
