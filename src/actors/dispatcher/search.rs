//! The search for a job of which it is not known whether its provider took it.

use std::rc::Rc;

use actix::Recipient;

use super::attempt::{Outcome, accept, again, refuse};
use super::{Destination, DispatcherOptions, answered};
use crate::actors::job_reader::Read;
use crate::actors::job_reader::queue::ListKnownAtProvider;
use crate::actors::job_store::RecordReports;
use crate::actors::provider_client::{FetchCandidates, FetchJob, RecallJob};
use crate::db::jobs::KnownJob;
use crate::db::observations::Report;
use crate::db::queue::{Claim, Refusal};
use crate::domain::observation::{Observation, Source};
use crate::domain::submission::{Candidate, Known, SecretInputs, Verdict, Wanted};
use crate::domain::timestamp::{Timestamp, now};
use crate::provider::Recalled;

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
    /// Whether a webhook about it would have reached us.
    pub(super) was_heard: bool,
    /// Whether the provider had the time that it may need to show the job.
    pub(super) is_settled: bool,
}

impl Search {
    pub(super) async fn run(self) -> bool {
        let Some(place) = self.options.destinations.get(&self.claim.provider) else { return false };
        let job_id = &self.claim.job_id;
        let searched = match &place.recall {
            Some(recall) => self.ask_after(recall).await,
            None => self.look_through(place).await.map(Some),
        };
        let verdict = match searched {
            Ok(Some(verdict)) => verdict,
            Ok(None) => return true,
            Err(error) => {
                log::warn!("the search for job {job_id} failed, and is made again: {error}");
                return false;
            }
        };
        match decide(&self.claim, verdict, self.is_settled, &self.words, now()) {
            Decision::Take(id) => self.take(place, id).await,
            Decision::Wait => false,
            Decision::Refuse { refusal, words } => {
                // What may be it is followed by itself first, so that nothing runs unseen.
                for id in refusal.suspects().iter().cloned() {
                    if let Err(error) = self.follow(place, id).await {
                        log::warn!("the search for job {job_id} is made again: {error}");
                        return false;
                    }
                }
                log::warn!("job {job_id}: {words}");
                refuse(&self.options, job_id.clone(), refusal, words).await;
                false
            }
        }
    }

    /// Asks a provider without a list; None where it runs the job, which is then stored. One that does not
    /// run it may have run it: only somebody who heard nothing all the while knows that it has not.
    async fn ask_after(&self, recall: &Recipient<RecallJob>) -> Result<Option<Verdict>, String> {
        let job_id = self.claim.job_id.clone();
        let answer = recall.send(RecallJob { job_id: job_id.clone() }).await;
        let answer = answer.map_err(|_| "the daemon is stopping".to_owned())?;
        match answer.map_err(|error| error.to_string())? {
            Recalled::Taken(snapshot) => {
                match accept(&self.options, job_id.clone(), *snapshot).await {
                    Outcome::Unknown(words) => Err(words),
                    Outcome::Taken | Outcome::Refused => {
                        log::info!("job {job_id} was taken");
                        Ok(None)
                    }
                }
            }
            Recalled::NotRunning if self.was_heard && self.claim.order.webhook_url.is_some() => {
                Ok(Some(Verdict::Absent))
            }
            Recalled::NotRunning => Ok(Some(Verdict::MayBeOver)),
        }
    }

    async fn look_through(&self, place: &Destination) -> Result<Verdict, String> {
        let stopping = || "the daemon is stopping".to_owned();
        let mut found: Vec<Candidate> = Vec::new();
        let mut cursor = None;
        for page in 0.. {
            if page == SEARCHED_PAGES_MAX {
                return Ok(Verdict::TooMany);
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
        Ok(look_among(&self.claim, found, &known, self.has_twin))
    }

    /// Makes a job of the provider known that may be the one, and may be another.
    async fn follow(&self, place: &Destination, provider_job_id: String) -> Result<(), String> {
        let said = place.job.send(FetchJob { provider_job_id }).await;
        let said = said.map_err(|_| "the daemon is stopping".to_owned())?;
        let observation = said.map_err(|error| error.to_string())?.observation;
        let observation = Observation { source: Source::Queue, ..observation };
        let reports = vec![Report::of_call(observation, true)];
        let stored = answered(self.options.record.send(RecordReports { reports }).await);
        stored.map(drop).map_err(|error| error.to_string())
    }

    /// The provider has it, under this identifier. Answers whether that is stored.
    async fn take(&self, place: &Destination, provider_job_id: String) -> bool {
        let job_id = self.claim.job_id.clone();
        match place.job.send(FetchJob { provider_job_id: provider_job_id.clone() }).await {
            Ok(Ok(snapshot)) => match accept(&self.options, job_id.clone(), snapshot).await {
                Outcome::Taken => true,
                Outcome::Refused => false,
                Outcome::Unknown(words) => {
                    log::error!("job {job_id}: {words}");
                    false
                }
            },
            Ok(Err(error)) => {
                log::warn!("job {job_id} is {provider_job_id}: {error}");
                false
            }
            // The daemon is stopping.
            Err(_) => false,
        }
    }
}

/// What is done after a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The provider calls it so.
    Take(String),
    /// It is searched for again.
    Wait,
    /// The provider does not have it, or nobody can tell.
    Refuse {
        /// What is done with it.
        refusal: Refusal,
        /// Why.
        words: String,
    },
}

/// Looks for a job among those that the provider shows, of which some are `known` here.
pub fn look_among(
    claim: &Claim,
    mut found: Vec<Candidate>,
    known: &[KnownJob],
    has_twin: bool,
) -> Verdict {
    let rules_out = |job: &KnownJob| {
        let is_submission = job.job_id.0 != job.provider_job_id;
        let known = Known {
            is_other_submission: is_submission && job.job_id != claim.job_id,
            created_at: job.provider_created_at,
        };
        known.rules_out(claim.newest_known_at)
    };
    found.retain_mut(|candidate| {
        let known = known.iter().find(|job| job.provider_job_id == candidate.provider_job_id);
        candidate.is_suspect = known.is_some_and(|job| job.is_suspect);
        !known.is_some_and(rules_out)
    });
    let Claim { job_id, order, .. } = claim;
    let input = order.input(job_id, &SecretInputs::default());
    let wanted = Wanted {
        job_id,
        model: order.target.model(),
        input: &input,
        is_partial: order.hides_secrets_in_texts(),
        has_twin,
    };
    wanted.judge(&found)
}

/// What follows from a search. Until the provider had the time that it may need to show the job
/// (`is_settled`), only that it is there counts; a webhook may still tell.
pub fn decide(
    claim: &Claim,
    verdict: Verdict,
    is_settled: bool,
    words: &str,
    now: Timestamp,
) -> Decision {
    let Claim { attempt, max_attempts, .. } = *claim;
    match verdict {
        Verdict::Taken(id) => Decision::Take(id),
        _ if !is_settled => Decision::Wait,
        Verdict::Absent => {
            let words = format!(
                "{words}; the provider does not have the job (attempt {attempt} of {max_attempts})"
            );
            let refusal = again(attempt, max_attempts, now);
            Decision::Refuse { refusal, words }
        }
        Verdict::TooMany => {
            let words = format!(
                "whether it was submitted cannot be told ({words}): the provider has more jobs since than can be \
                 searched. It is not submitted again, so that nothing runs twice"
            );
            Decision::Refuse { refusal: Refusal::Never(Vec::new()), words }
        }
        Verdict::MayBeOver => {
            let words = format!(
                "whether it was submitted cannot be told ({words}): the provider does not run it now, and keeps no \
                 list of what has ended. It is not submitted again, so that nothing runs twice"
            );
            Decision::Refuse { refusal: Refusal::Never(Vec::new()), words }
        }
        Verdict::Undecided(ids) => {
            let words = format!(
                "whether it was submitted cannot be told ({words}): it may be {}. It is not submitted again, \
                 so that nothing runs twice",
                ids.join(" or "),
            );
            Decision::Refuse { refusal: Refusal::Never(ids), words }
        }
    }
}
