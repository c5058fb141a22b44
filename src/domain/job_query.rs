//! What part of the jobs a reader asks for.

use super::job::{Job, JobStatus, JobType};

use icu_normalizer::ComposingNormalizerBorrowed;

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
    /// A text that must occur in an id, a name, the model or the error, whatever its case.
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

/// A text as it is compared: in small letters, and with each letter and its marks as one character where there
/// is one. File names of macOS have them apart.
pub fn folded(text: &str) -> String {
    // Letter by letter: a capital sigma has two small ones, by where it stands.
    let small: String = text.chars().flat_map(char::to_lowercase).collect();
    ComposingNormalizerBorrowed::new_nfc().normalize(&small).into_owned()
}

/// What a job is found by: its identifiers, its names, its model and its error.
pub fn searched_text(job: &Job) -> String {
    let name = job.name();
    let texts = [
        Some(job.job_id.0.as_str()),
        job.provider_job_id.as_deref().filter(|id| *id != job.job_id.0),
        name.as_deref(),
        job.run_name.as_deref().filter(|run_name| Some(*run_name) != name.as_deref()),
        job.model.as_deref(),
        job.error_message.as_deref(),
    ];
    let texts: Vec<_> = texts.into_iter().flatten().collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_their_case_and_form() {
        for (one, other) in [
            ("Äpfel", "äpfel"),
            ("A\u{308}pfel", "äpfel"),
            ("ПОРТРЕТ", "портрет"),
            ("ΟΔΟΣ", "οδοσ"),
            ("İstanbul", "i\u{307}stanbul"),
        ] {
            assert_eq!(folded(one), folded(other), "{one}");
        }
    }
}
