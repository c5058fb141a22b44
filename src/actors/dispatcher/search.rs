//! The search for a job of which it is not known whether its provider took it.

use std::rc::Rc;

use super::attempt::{Outcome, accept, again, refuse};
use super::{Destination, DispatcherOptions, answered};
use crate::actors::job_reader::Read;
use crate::actors::job_reader::queue::ListKnownAtProvider;
use crate::actors::provider_client::{FetchCandidates, FetchJob};
use crate::db::queue::{Claim, Refusal};
use crate::domain::submission::{Candidate, Known, SecretInputs, Verdict, judge};
use crate::domain::timestamp::now;

/// How many pages of the provider's jobs are searched. Only where nothing was known of the provider before
/// could it be more than one or two.
const SEARCHED_PAGES_MAX: usize = 20;

/// A search for one job among those of its provider.
pub(super) struct Search {
    pub(super) options: Rc<DispatcherOptions>,
    pub(super) claim: Claim,
    /// Another job with the same inputs is searched for as well.
    pub(super) has_twin: bool,
    /// Why its outcome is unknown.
    pub(super) words: String,
    /// Whether the provider had the time that it may need to show the job.
    pub(super) is_settled: bool,
}

impl Search {
    pub(super) async fn run(self) {
        let Some(place) = self.options.destinations.get(&self.claim.provider) else { return };
        let job_id = &self.claim.job_id;
        let verdict = match self.look_through(place).await {
            Ok(verdict) => verdict,
            Err(error) => {
                log::warn!("the search for job {job_id} failed, and is made again: {error}");
                return;
            }
        };
        match verdict {
            Verdict::Taken(id) => self.take(place, id).await,
            // A webhook may still tell.
            _ if !self.is_settled => {}
            Verdict::Absent => {
                log::info!("the provider does not have job {job_id}");
                let Claim { attempt, max_attempts, .. } = self.claim;
                let words = format!(
                    "{}; the provider does not have the job (attempt {attempt} of {max_attempts})",
                    self.words
                );
                let refusal = again(attempt, max_attempts, now());
                refuse(&self.options, job_id.clone(), refusal, words).await;
            }
            Verdict::Undecided(ids) => {
                let words = format!(
                    "whether it was submitted cannot be told ({}): it may be {}. It is not submitted \
                     again, so that nothing runs twice",
                    self.words,
                    ids.join(" or "),
                );
                log::error!("job {job_id}: {words}");
                refuse(&self.options, job_id.clone(), Refusal::Never, words).await;
            }
        }
    }

    async fn look_through(&self, place: &Destination) -> Result<Verdict, String> {
        let stopping = || "the daemon is stopping".to_owned();
        let mut found: Vec<Candidate> = Vec::new();
        let mut cursor = None;
        for page in 0.. {
            if page == SEARCHED_PAGES_MAX {
                return Ok(Verdict::Undecided(vec!["a job that is too far down".to_owned()]));
            }
            let question = FetchCandidates { since: self.claim.newest_known_at, cursor };
            let answer = place.candidates.send(question).await.map_err(|_| stopping())?;
            let page = answer.map_err(|error| error.to_string())?;
            found.extend(page.candidates);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let question = ListKnownAtProvider {
            provider: self.claim.provider.clone(),
            provider_job_ids: found.iter().map(|one| one.provider_job_id.clone()).collect(),
        };
        let known = answered(self.options.known.send(Read(question)).await);
        let known = known.map_err(|error| error.to_string())?;
        let rules_out = |candidate: &Candidate| {
            let known = known.iter().find(|one| one.provider_job_id == candidate.provider_job_id);
            known.is_some_and(|job| {
                let is_other_submission =
                    job.job_id.0 != job.provider_job_id && job.job_id != self.claim.job_id;
                Known { is_other_submission, created_at: job.provider_created_at }
                    .rules_out(self.claim.newest_known_at)
            })
        };
        found.retain(|candidate| !rules_out(candidate));
        let Claim { job_id, order, .. } = &self.claim;
        let input = order.input(&SecretInputs::default());
        Ok(judge(job_id, order.target.model(), &input, &found, self.has_twin))
    }

    /// The provider has it, under this identifier.
    async fn take(&self, place: &Destination, provider_job_id: String) {
        let job_id = self.claim.job_id.clone();
        match place.job.send(FetchJob { provider_job_id: provider_job_id.clone() }).await {
            Ok(Ok(snapshot)) => {
                log::info!("job {job_id} was taken: it is {provider_job_id}");
                if let Outcome::Unknown(words) =
                    accept(&self.options, job_id.clone(), snapshot).await
                {
                    log::error!("job {job_id}: {words}");
                }
            }
            Ok(Err(error)) => log::warn!("job {job_id} is {provider_job_id}: {error}"),
            Err(_) => {}
        }
    }
}
