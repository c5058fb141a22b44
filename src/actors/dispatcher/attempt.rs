//! One attempt to hand a job to its provider, and what follows from how it went.

use std::rc::Rc;
use std::time::Duration;

use super::{DispatcherOptions, answered};
use crate::actors::job_store::RecordReports;
use crate::actors::job_store::queue::RefuseJob;
use crate::actors::provider_client::SubmitAtProvider;
use crate::db::observations::Report;
use crate::db::queue::{Claim, Refusal};
use crate::domain::job::JobId;
use crate::domain::observation::{Observation, Source};
use crate::domain::queue::back_off;
use crate::domain::submission::SecretInputs;
use crate::domain::timestamp::{Timestamp, now};
use crate::provider::{NewJob, ProviderError, Snapshot, SubmitError};

/// How long to wait where the provider runs as many jobs as it can.
const OCCUPIED_PAUSE_SECONDS: u64 = 15;
/// How long to wait where the provider cannot be reached, or its word needs a person.
const UNREACHED_PAUSE_SECONDS: u64 = 60;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The provider has the job.
    Taken,
    /// It does not.
    Refused,
    /// That is not known, for this reason.
    Unknown(String),
}

/// Hands a job over, and stores what comes of it.
pub(super) async fn hand_over(
    options: Rc<DispatcherOptions>,
    claim: Claim,
    secrets: SecretInputs,
) -> Outcome {
    let Claim { job_id, order, attempt, max_attempts, .. } = claim.clone();
    let missing = || order.secrets.join(", ");
    if secrets.is_empty() && !order.secrets.is_empty() {
        let words = format!(
            "its secrets ({}) are not stored, and the daemon was restarted: submit it again",
            missing()
        );
        return refuse(&options, job_id, Refusal::Never(Vec::new()), words).await;
    }
    let Some(place) = options.destinations.get(&claim.provider) else {
        let words = format!("no provider is called {}", claim.provider);
        return refuse(&options, job_id, Refusal::Never(Vec::new()), words).await;
    };
    let new = NewJob { job_id: job_id.clone(), order, secrets };
    let error = match place.submit.send(SubmitAtProvider(new)).await {
        Ok(Ok(snapshot)) => return accept(&options, job_id, snapshot).await,
        Ok(Err(error)) => error,
        Err(_) => return Outcome::Unknown("the daemon was stopping".to_owned()),
    };
    let words = error.error.to_string();
    match after_error(&error, attempt, max_attempts, now()) {
        None => Outcome::Unknown(words),
        Some(refusal) => {
            log::warn!("job {job_id} was not taken (attempt {attempt} of {max_attempts}): {words}");
            let words = match refusal {
                Refusal::Never(_) if error.error.is_outage() => {
                    format!("{words}; {attempt} attempts were made")
                }
                _ => words,
            };
            refuse(&options, job_id, refusal, words).await
        }
    }
}

/// What follows from an attempt that failed; None where the provider may have taken the job.
pub fn after_error(
    error: &SubmitError,
    attempt: u32,
    max_attempts: u32,
    now: Timestamp,
) -> Option<Refusal> {
    if error.may_be_taken {
        return None;
    }
    let wait = |seconds: u64| Refusal::Again {
        not_before: now + Duration::from_secs(seconds.min(86_400)),
        counts: false,
    };
    Some(match &error.error {
        ProviderError::Throttled { retry_after_seconds, .. }
        | ProviderError::BudgetSpent { retry_after_seconds }
        | ProviderError::OutOfOrder { retry_after_seconds, .. } => wait(*retry_after_seconds),
        ProviderError::Occupied(_) => wait(OCCUPIED_PAUSE_SECONDS),
        ProviderError::NoToken { .. } | ProviderError::Unreachable(_) => {
            wait(UNREACHED_PAUSE_SECONDS)
        }
        // A token or a bill that a person can put right, and then it goes on.
        ProviderError::Refused { status: 401 | 402, .. } => wait(UNREACHED_PAUSE_SECONDS),
        ProviderError::Refused { .. }
        | ProviderError::NotFound(_)
        | ProviderError::Untold(_)
        | ProviderError::Unsupported(_) => Refusal::Never(Vec::new()),
        ProviderError::Failing { .. }
        | ProviderError::CutOff(_)
        | ProviderError::Timeout { .. }
        | ProviderError::Garbled(_) => again(attempt, max_attempts, now + back_off(attempt, None)),
    })
}

/// Another attempt, unless there were as many as there may be.
pub(super) fn again(attempt: u32, max_attempts: u32, not_before: Timestamp) -> Refusal {
    if attempt >= max_attempts {
        Refusal::Never(Vec::new())
    } else {
        Refusal::Again { not_before, counts: true }
    }
}

/// Stores that the provider has taken a job. Where that cannot be stored, it is found again.
pub(super) async fn accept(
    options: &DispatcherOptions,
    job_id: JobId,
    snapshot: Snapshot,
) -> Outcome {
    let observation = Observation { source: Source::Queue, ..snapshot.observation };
    let taken =
        format!("{} has job {job_id}: {}", observation.provider, observation.provider_job_id);
    let reports = vec![Report::of_submission(job_id, observation)];
    match answered(options.record.send(RecordReports { reports }).await) {
        Ok(_) => {
            log::info!("{taken}");
            Outcome::Taken
        }
        Err(error) => {
            Outcome::Unknown(format!("it was taken, and that could not be stored: {error}"))
        }
    }
}

pub(super) async fn refuse(
    options: &DispatcherOptions,
    job_id: JobId,
    refusal: Refusal,
    words: String,
) -> Outcome {
    let message = RefuseJob { job_id: job_id.clone(), refusal, words };
    if let Err(error) = answered(options.refuse.send(message).await) {
        // It is searched for as one whose outcome is unknown, and not found.
        log::error!("that job {job_id} was not taken could not be stored: {error}");
    }
    Outcome::Refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::from_micros;

    fn refusal(error: ProviderError, attempt: u32) -> Option<(i64, bool)> {
        let error = SubmitError { error, may_be_taken: false };
        match after_error(&error, attempt, 3, from_micros(0))? {
            Refusal::Again { not_before, counts } => Some((not_before.timestamp(), counts)),
            Refusal::Never(_) => None,
        }
    }

    fn words() -> String {
        "words".to_owned()
    }

    #[test]
    fn what_may_have_been_done_is_left_open() {
        let error = ProviderError::Failing { status: 502, detail: words() };
        let error = SubmitError { error, may_be_taken: true };
        assert_eq!(after_error(&error, 1, 3, from_micros(0)), None);
    }

    #[test]
    fn a_provider_that_fails_is_tried_again_later_and_later_and_not_for_ever() {
        let failing = || ProviderError::Failing { status: 502, detail: words() };
        assert_eq!(refusal(failing(), 1), Some((15, true)));
        assert_eq!(refusal(failing(), 2), Some((60, true)));
        assert_eq!(refusal(failing(), 3), None);
    }

    #[test]
    fn a_provider_that_could_not_be_asked_uses_up_no_attempt() {
        let throttled = ProviderError::Throttled { retry_after_seconds: 7, detail: words() };
        let left_alone = ProviderError::OutOfOrder { retry_after_seconds: 8, last_error: words() };
        let unpaid = ProviderError::Refused { status: 402, detail: words() };
        for (error, seconds) in [
            (throttled, 7),
            (left_alone, 8),
            (ProviderError::BudgetSpent { retry_after_seconds: 9 }, 9),
            (ProviderError::Unreachable(words()), 60),
            (unpaid, 60),
        ] {
            assert_eq!(refusal(error, 99), Some((seconds, false)));
        }
    }

    #[test]
    fn what_the_provider_refuses_is_not_asked_again() {
        for status in [400, 403, 422] {
            assert_eq!(refusal(ProviderError::Refused { status, detail: words() }, 1), None);
        }
        assert_eq!(refusal(ProviderError::NotFound(words()), 1), None);
    }
}
