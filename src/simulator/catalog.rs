//! What the simulated account may run: the published trainer models, their versions and the hardware.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

/// The user name of the simulated account.
pub(super) const USERNAME: &str = "acme";

/// The model a job runs when nothing else is said.
pub const DEFAULT_MODEL: &str = "simpletuner/advanced-trainer-h100";

/// The hardware list: name and SKU.
pub(super) const HARDWARE: [(&str, &str); 11] = [
    ("CPU", "cpu"),
    ("Nvidia T4 GPU", "gpu-t4"),
    ("Nvidia A40 GPU", "gpu-a40-small"),
    ("Nvidia A40 (Large) GPU", "gpu-a40-large"),
    ("Nvidia L40S GPU", "gpu-l40s"),
    ("2x Nvidia L40S GPU", "gpu-l40s-2x"),
    ("Nvidia A100 (80GB) GPU", "gpu-a100-large"),
    ("Nvidia H100 GPU", "gpu-h100"),
    ("2x Nvidia H100 GPU", "gpu-h100-2x"),
    ("4x Nvidia H100 GPU", "gpu-h100-4x"),
    ("8x Nvidia H100 GPU", "gpu-h100-8x"),
];

/// The models that exist: SimpleTuner's trainers, one for each machine.
const MODELS: [&str; 8] = [
    DEFAULT_MODEL,
    "simpletuner/advanced-trainer-h100-x2",
    "simpletuner/advanced-trainer-h100-x4",
    "simpletuner/advanced-trainer-h100-x8",
    "simpletuner/advanced-trainer-l40s",
    "simpletuner/advanced-trainer-l40s-x2",
    "simpletuner/advanced-trainer-l40s-x4",
    "simpletuner/advanced-trainer-l40s-x8",
];

/// Whether the model `owner/name` exists.
pub(super) fn is_known(model: &str) -> bool {
    MODELS.contains(&model)
}

/// The only version of `model`: 64 hexadecimal digits.
pub fn version_of(model: &str) -> String {
    hex(&Sha256::digest(model.as_bytes()))
}

/// When the only version of every model was released.
pub(super) fn released_at() -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(1_764_546_300_123_456_000)
}

/// The model and version that `owner/name`, `owner/name:64hex` or `64hex` means; `None` for another form.
///
/// Versions of private models cannot be known here, so that any well-formed one is taken.
pub(super) fn resolve(reference: &str) -> Option<(String, String)> {
    if is_version(reference) {
        let owner = MODELS.iter().find(|model| version_of(model) == reference);
        return Some(((*owner.unwrap_or(&DEFAULT_MODEL)).to_owned(), reference.to_owned()));
    }
    let (model, version) = match reference.split_once(':') {
        Some((model, version)) => (model, version.to_owned()),
        None => (reference, version_of(reference)),
    };
    let (owner, name) = model.split_once('/')?;
    let well_formed = !owner.is_empty() && !name.is_empty() && !name.contains('/');
    (well_formed && is_version(&version)).then(|| (model.to_owned(), version))
}

fn is_version(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_of_a_version_mean_the_same() {
        let version = version_of(DEFAULT_MODEL);
        let expected = Some((DEFAULT_MODEL.to_owned(), version.clone()));
        assert_eq!(resolve(DEFAULT_MODEL), expected);
        assert_eq!(resolve(&version), expected);
        assert_eq!(resolve(&format!("{DEFAULT_MODEL}:{version}")), expected);
    }

    #[test]
    fn a_version_of_another_form_is_refused() {
        assert!(
            ["", "sdxl", "a/b:latest", "a/b/c", "/b"].iter().all(|text| resolve(text).is_none())
        );
    }
}
