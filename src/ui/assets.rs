//! The files that pages bring along: style, scripts and vendored libraries, embedded in the program.
//!
//! Their addresses carry a digest of all of them, so a browser may keep each for ever, and a new version of
//! the daemon is seen at once.

use std::borrow::Cow;

use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

/// Where assets are found, before the digest.
pub(crate) const ROOT: &str = "/assets";

#[derive(RustEmbed)]
#[folder = "src/ui/assets"]
struct Files;

/// Every asset, and the address of their folder.
#[derive(Debug, Clone)]
pub(crate) struct Assets {
    folder: String,
}

impl Default for Assets {
    fn default() -> Self {
        let mut names: Vec<_> = Files::iter().collect();
        names.sort_unstable();
        let mut digest = Sha256::new();
        for name in &names {
            digest.update(name.as_bytes());
            if let Some(file) = Files::get(name) {
                digest.update(file.metadata.sha256_hash());
            }
        }
        let digest: String =
            digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { folder: format!("{ROOT}/{digest}") }
    }
}

impl Assets {
    /// The address of the folder in which they lie, without a slash at its end.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// The content of an asset and its media type, by its path within the folder.
    pub(crate) fn get(path: &str) -> Option<(Cow<'static, [u8]>, &'static str)> {
        Files::get(path).map(|file| (file.data, media_type(path)))
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendored_files_are_the_ones_that_were_taken_over() {
        let listed = include_str!("assets/vendor/README.md");
        let vendored = Files::iter().filter(|name| name.starts_with("vendor/"));
        for name in vendored.filter(|name| name.ends_with("js") || name.ends_with("css")) {
            let digest: String = Files::get(&name)
                .expect("a file")
                .metadata
                .sha256_hash()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert!(listed.contains(&digest), "{name} has the SHA-256 {digest}");
        }
    }

    #[test]
    fn an_asset_has_a_media_type_and_nothing_outside_the_folder_is_one() {
        let (_, media_type) = Assets::get("css/style.css").expect("a style");
        assert_eq!(media_type, "text/css; charset=utf-8");
        assert!(Assets::get("../mod.rs").is_none());
    }
}
