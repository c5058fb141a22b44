//! Where a configuration comes from, before anything of it is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file that is read when none is named, if it is there.
const SYSTEM_FILE: &str = "/etc/jobsyncd/jobsyncd.yaml";

/// Where a system-wide daemon keeps its database.
const SYSTEM_STATE_DIRECTORY: &str = "/var/lib/jobsyncd";

/// The flags that override configuration, to be flattened into a command line.
///
/// There is no `Debug`: the database URL may hold a password.
#[derive(Clone, Default, clap::Args)]
pub struct Flags {
    /// The configuration file [default: $JOBSYNCD_CONFIG, or else /etc/jobsyncd/jobsyncd.yaml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address to listen on, as in 127.0.0.1:8001; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub bind: Option<String>,

    /// The database: sqlite:///path or postgres://…
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

/// Everything [`Config::load`](super::Config::load) may look at, so that a test decides all of it.
///
/// There is no `Debug`: the environment holds secrets.
#[derive(Clone)]
pub struct Sources {
    /// What the command line says.
    pub flags: Flags,
    /// The environment variables, ours and others.
    pub environment: BTreeMap<String, String>,
    /// The file to read if neither flag nor variable names one; it need not exist.
    pub default_file: Option<PathBuf>,
    /// The directory of the database of a system-wide daemon, used if it is there and writable.
    pub system_state_directory: PathBuf,
}

impl Default for Sources {
    /// The defaults alone: no file, no flags, an empty environment.
    fn default() -> Self {
        Self {
            flags: Flags::default(),
            environment: BTreeMap::new(),
            default_file: None,
            system_state_directory: PathBuf::from(SYSTEM_STATE_DIRECTORY),
        }
    }
}

impl Sources {
    /// The sources of this process: its environment, the system's configuration file, and `flags`.
    pub fn from_process(flags: Flags) -> Self {
        // A variable that is not UTF-8 is kept with replacement characters: if it is one of ours,
        // it is then refused by name rather than passed over.
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self {
            flags,
            default_file: Some(PathBuf::from(SYSTEM_FILE)),
            ..Self::from_environment(environment)
        }
    }

    /// The defaults and these environment variables, and nothing else.
    pub fn from_environment<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { environment: variables.collect(), ..Self::default() }
    }

    /// The variable's value, unless it is empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// The configuration file: the one that was named, or the default one if it exists.
    pub(super) fn file(&self) -> Option<&Path> {
        self.flags
            .config
            .as_deref()
            .or_else(|| self.variable("JOBSYNCD_CONFIG").map(Path::new))
            .or_else(|| self.default_file.as_deref().filter(|path| path.is_file()))
    }
}
