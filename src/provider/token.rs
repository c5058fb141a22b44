//! The token of a provider's account: as it is configured, or as a user has set it since then, which is kept in a
//! file that only this daemon reads.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};

/// A token that may be replaced while it is in use. All clones are one.
#[derive(Debug, Clone)]
pub struct SharedToken(Arc<Holder>);

#[derive(Debug)]
struct Holder {
    configured: Option<SecretString>,
    file: Option<PathBuf>,
    current: RwLock<Option<SecretString>>,
}

/// Why a token could not be kept, or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody said where.
    #[error(
        "there is no file to keep the token in: set providers.replicate.token_file, or REPLICATE_API_TOKEN itself"
    )]
    NoFile,
    /// The file cannot be written.
    #[error("the token cannot be kept in {file}: {error}")]
    Io {
        /// Which file.
        file: PathBuf,
        /// What is in the way.
        error: std::io::Error,
    },
}

impl SharedToken {
    /// The token that was set before, if there is one in `file`; else the configured one.
    pub fn open(configured: Option<SecretString>, file: Option<PathBuf>) -> Self {
        let kept = file.as_deref().and_then(read);
        let current = RwLock::new(kept.or_else(|| configured.clone()));
        Self(Arc::new(Holder { configured, file, current }))
    }

    /// The token as it is now.
    pub fn get(&self) -> Option<SecretString> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps a token instead of the one before, and answers in which file. From then on it is used.
    ///
    /// # Errors
    /// Where it cannot be kept; the one before then stays.
    pub fn replace(&self, token: SecretString) -> Result<PathBuf, TokenError> {
        let file = self.0.file.clone().ok_or(TokenError::NoFile)?;
        write(&file, &token).map_err(|error| TokenError::Io { file: file.clone(), error })?;
        self.put(Some(token));
        Ok(file)
    }

    /// Forgets the token that was set. The configured one, if there is one, holds again: answers whether it does.
    ///
    /// # Errors
    /// Where the file cannot be removed; the token then stays.
    pub fn forget(&self) -> Result<bool, TokenError> {
        if let Some(file) = &self.0.file
            && let Err(error) = std::fs::remove_file(file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(TokenError::Io { file: file.clone(), error });
        }
        self.put(self.0.configured.clone());
        Ok(self.is_set())
    }

    fn put(&self, token: Option<SecretString>) {
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

fn read(file: &Path) -> Option<SecretString> {
    match std::fs::read_to_string(file) {
        Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()).map(Into::into),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            log::warn!("the token in {} cannot be read: {error}", file.display());
            None
        }
    }
}

/// Writes a file that nobody else may read, so that it is there whole or not at all, also after a crash.
fn write(file: &Path, token: &SecretString) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let new = folder.join(name);
    // One that a crash has left may have other rights.
    let _ = std::fs::remove_file(&new);
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut opened = options.write(true).create_new(true).mode(0o600).open(&new)?;
        opened.write_all(token.expose_secret().as_bytes())?;
        opened.sync_all()?;
        std::fs::rename(&new, file)?;
        std::fs::File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}
