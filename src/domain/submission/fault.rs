//! Whose fault it was that a job failed, as far as the provider's words tell.

use sha2::{Digest as _, Sha256};
use uuid::Builder;

use crate::domain::job::JobId;

/// What the provider writes where it is to blame and asks to try again (replicate.com, "Error codes"): an
/// unknown error, no start in time, an interruption, a failed health check, an error of its own.
const OF_PROVIDER: [&str; 6] = ["E1000", "E6716", "E8367", "E8765", "E9243", "code: PA"];

/// Whether a job failed for a reason that is the provider's and not the training's own.
pub fn is_providers_fault(error_message: &str) -> bool {
    // The code stands in brackets, at the end of a sentence or of a line.
    let is_code = |code: &&str| {
        error_message.match_indices(*code).any(|(at, _)| {
            let before = error_message[..at].chars().next_back();
            let after = error_message[at + code.len()..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        })
    };
    OF_PROVIDER.iter().any(is_code)
}

/// The identifier of the job that stands for another attempt at `job_id`: always the same one, so that no
/// repeated news of the failure makes a second.
pub fn next_attempt_id(job_id: &JobId) -> JobId {
    let digest = Sha256::digest(format!("another attempt at {job_id}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    JobId(Builder::from_custom_bytes(bytes).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_providers_own_words_blame_the_provider() {
        for error in [
            "Prediction interrupted; please retry (code: PA)",
            "Director: unexpected error handling prediction (E9243)",
            "The prediction failed to start in time: E6716.",
        ] {
            assert!(is_providers_fault(error), "{error}");
        }
        for error in ["CUDA out of memory (E1001)", "KeyError: 'E67160'", "XE8765", "", "exit 1"] {
            assert!(!is_providers_fault(error), "{error}");
        }
    }

    #[test]
    fn another_attempt_has_one_name() {
        let first = JobId("01a20d20-5a05-708d-83b6-c850230460ec".to_owned());
        let second = next_attempt_id(&first);
        assert_eq!(second, next_attempt_id(&first));
        assert_ne!(second, next_attempt_id(&second));
        assert!(uuid::Uuid::parse_str(&second.0).is_ok());
    }
}
