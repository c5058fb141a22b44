//! SimpleTuner's configurations on this machine: a folder with one of them a name, as SimpleTuner keeps them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ApiError;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const FIELD: &str = "config_name_to_load";

/// A configuration with what belongs to it.
#[derive(Debug)]
pub(super) struct LoadedConfig {
    pub(super) config: Map<String, Value>,
    pub(super) dataloader: Option<Vec<Map<String, Value>>>,
    pub(super) lycoris: Option<Map<String, Value>>,
}

/// Reads the configuration `name` in `folder`; None where there is none.
///
/// # Errors
/// Where the file leads out of the folder, or it cannot be read.
pub(super) fn load(folder: &Path, name: &str) -> Result<Option<LoadedConfig>, ApiError> {
    let name = name.strip_suffix(".json").unwrap_or(name);
    // A name that leads elsewhere is none of a configuration here.
    if !is_file_name(name) {
        return Ok(None);
    }
    let own = folder.join(name);
    let Some((path, config)) = [own.join("config.json"), folder.join(format!("{name}.json"))]
        .into_iter()
        .find_map(|path| Some((path.clone(), read::<Map<_, _>>(folder, &path).transpose()?)))
    else {
        return Ok(None);
    };
    let mut config = config?;
    // What a configuration names by a path of SimpleTuner's stands beside it.
    let beside = |named: &str| -> Option<PathBuf> {
        let file = Path::new(named).file_name()?.to_str().filter(|file| is_file_name(file))?;
        Some(path.with_file_name(file))
    };
    let named = text(&config, "data_backend_config").and_then(beside);
    // What the configuration says goes before what is usually there.
    let candidates = [named, Some(own.join("multidatabackend.json"))];
    let dataloader =
        candidates.into_iter().flatten().find_map(|path| read(folder, &path).transpose());
    let lycoris = match text(&config, "lycoris_config").and_then(beside) {
        Some(path) => read(folder, &path)?,
        None => None,
    };
    if lycoris.is_some() {
        config.retain(|key, _| key.trim_start_matches('-') != "lycoris_config");
    }
    Ok(Some(LoadedConfig { config, dataloader: dataloader.transpose()?, lycoris }))
}

fn text<'a>(config: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    config.get(name).or_else(|| config.get(&format!("--{name}")))?.as_str()
}

/// Whether a text is the name of one file, and leads nowhere.
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.contains(['/', '\\', ':'])
        && !name.chars().any(char::is_control)
}

/// Reads a file of JSON within `folder`; None where there is none.
fn read<T: DeserializeOwned>(folder: &Path, path: &Path) -> Result<Option<T>, ApiError> {
    let shown = path.strip_prefix(folder).unwrap_or(path).display();
    let failed = |error: std::io::Error| bad(format!("{shown} cannot be read: {error}"));
    // A link may lead anywhere, so it is what it leads to that must be within.
    let (Ok(whole), Ok(within)) = (path.canonicalize(), folder.canonicalize()) else {
        return Ok(None);
    };
    if !whole.starts_with(&within) {
        return Err(bad(format!("{shown} leads out of the folder of configurations")));
    }
    if !whole.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&whole).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(bad(format!("{shown} is larger than {FILE_BYTES_MAX} bytes")));
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| bad(format!("{shown} is not the JSON that it should be: {error}")))
}

fn bad(problem: String) -> ApiError {
    ApiError::BadValue { field: FIELD.to_owned(), problem }
}
