//! What part of the jobs a reader asks for.

use super::job::{JobStatus, JobType};

/// The most jobs that one page may have.
pub const LIMIT_MAX: u32 = 500;
/// How many jobs a page has where nothing was asked.
pub const LIMIT_DEFAULT: u32 = 50;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum JobSort {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
    /// Dearest first; jobs of unknown cost last.
    Cost,
    /// By the name of the configuration.
    Name,
}

impl JobSort {
    /// Every order, with its word on the wire.
    pub const ALL: [(&'static str, Self); 4] = [
        ("newest", Self::Newest),
        ("oldest", Self::Oldest),
        ("cost", Self::Cost),
        ("name", Self::Name),
    ];
}

/// A page of the jobs that match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobQuery {
    /// How many jobs at most, 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// How many matching jobs are skipped first.
    pub offset: u32,
    /// The states to show; empty for all.
    pub statuses: Vec<JobStatus>,
    /// The type to show.
    pub job_type: Option<JobType>,
    /// The provider to show.
    pub provider: Option<String>,
    /// A text that must occur in the id, the name, the model or the error, whatever its case.
    pub text: Option<String>,
    /// The order.
    pub sort: JobSort,
}

impl Default for JobQuery {
    fn default() -> Self {
        Self {
            limit: LIMIT_DEFAULT,
            offset: 0,
            statuses: Vec::new(),
            job_type: None,
            provider: None,
            text: None,
            sort: JobSort::default(),
        }
    }
}
