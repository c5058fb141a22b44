//! Which database, and where it is when nobody said.

use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::error::Problem;
use super::sources::Sources;

/// The name of the database file in the directory that was chosen for it.
const FILE_NAME: &str = "jobs.db";

/// A database, as its URL says.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// `sqlite:///absolute/path` or `sqlite://relative/path`. Neither the file nor its folder need
    /// exist yet, but the folder of that folder.
    Sqlite(PathBuf),
    /// `postgres://…` or `postgresql://…`.
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL database; what is displayed of it has neither a password nor parameters.
#[derive(Debug, Clone)]
pub struct PostgresUrl {
    whole: SecretString,
    shown: String,
}

impl PostgresUrl {
    /// The whole URL, for libpq and for no log.
    pub fn expose(&self) -> &str {
        self.whole.expose_secret()
    }
}

/// The URL without its secrets.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&url.shown),
        }
    }
}

/// Understands a database URL. No problem repeats it.
pub(super) fn parse(text: &str) -> Result<DatabaseUrl, Problem> {
    if text.starts_with("sqlite:") && text.contains(":memory:") {
        return Err(Problem::refused(
            "cannot be in memory: jobs and events must outlive the daemon, so name a file, as in sqlite:///var/lib/jobsyncd/jobs.db",
        ));
    }
    if let Some(path) = text.strip_prefix("sqlite://") {
        return sqlite(path);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return postgres(text);
    }
    Err(Problem::refused(
        "must be sqlite:///absolute/path, sqlite://relative/path or postgres://user:password@host/name",
    ))
}

fn sqlite(path: &str) -> Result<DatabaseUrl, Problem> {
    if path.contains('?') {
        return Err(Problem::refused(
            "must be a plain path after sqlite://, without `?` parameters",
        ));
    }
    if path.is_empty() || path.ends_with('/') {
        return Err(Problem::refused("must name a file after sqlite://, not a directory"));
    }
    Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
}

fn postgres(text: &str) -> Result<DatabaseUrl, Problem> {
    let mut shown = Url::parse(text).map_err(|error| {
        Problem::Refused(format!(
            "must be postgres://user:password@host/name, special characters percent-encoded: {error}"
        ))
    })?;
    // A password may also stand among the parameters. A URL without a host has none to remove, and
    // then refuses the change.
    shown.set_query(None);
    shown.set_fragment(None);
    if shown.password().is_some() && shown.set_password(None).is_err() {
        return Err(Problem::refused("has a password but no host"));
    }
    Ok(DatabaseUrl::Postgres(PostgresUrl { whole: text.into(), shown: shown.into() }))
}

/// Where the database goes when nobody said.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// Why there.
    pub(super) reason: String,
    /// See [`super::Database::folders_within`].
    pub(super) folders_within: Option<PathBuf>,
}

/// Chooses a place.
pub(super) fn automatic(sources: &Sources) -> Result<Place, Problem> {
    state_directory(sources).ok_or_else(|| {
        Problem::refused("is not set, and neither HOME nor STATE_DIRECTORY says where else to go")
    })
}

/// The database in such a place.
pub(super) fn within(folder: &Path) -> DatabaseUrl {
    DatabaseUrl::Sqlite(folder.join(FILE_NAME))
}

fn state_directory(sources: &Sources) -> Option<Place> {
    let place = |folder: PathBuf, reason, within: Option<&Path>| {
        Some(Place { folder, reason, folders_within: within.map(Path::to_owned) })
    };
    // systemd separates several directories by colons; the first is the main one.
    if let Some(first) = sources.variable("STATE_DIRECTORY").and_then(|all| all.split(':').next()) {
        return place(first.into(), "not configured: in $STATE_DIRECTORY".to_owned(), None);
    }
    let system = &sources.system_state_directory;
    if is_writable(system) {
        let reason = format!("not configured: {} is there and writable", system.display());
        return place(system.clone(), reason, None);
    }
    let because = |place: &str| {
        format!("not configured, and {} is not writable: in {place}", system.display())
    };
    let absolute = |name| sources.variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = absolute("HOME");
    if let Some(state) = absolute("XDG_STATE_HOME") {
        let home = home.as_deref().filter(|home| state.starts_with(home));
        let within = home.or(state.parent());
        return place(state.join("jobsyncd"), because("$XDG_STATE_HOME"), within);
    }
    let home = home?;
    place(home.join(".local/state/jobsyncd"), because("the home directory"), Some(&home))
}

/// Whether a database can be kept in `directory`. Trying is the only way to know: permission bits do
/// not tell of access lists, of read-only mounts, or of a sandbox.
fn is_writable(directory: &Path) -> bool {
    let database = directory.join(FILE_NAME);
    if database.exists() && OpenOptions::new().append(true).open(&database).is_err() {
        return false;
    }
    let probe = directory.join(format!(".jobsyncd-probe-{}", std::process::id()));
    let created = OpenOptions::new().write(true).create_new(true).open(&probe).is_ok();
    created && std::fs::remove_file(&probe).is_ok()
}
