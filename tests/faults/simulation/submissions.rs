//! What users submit, and what the dispatcher does with it: the intent, the call, and the search where the
//! call's outcome is not known.

use jobsyncd::actors::dispatcher::attempt::after_error;
use jobsyncd::actors::dispatcher::search::{Decision, decide, look_among};
use jobsyncd::db::observations::Report;
use jobsyncd::db::queue::{Claim, NewSubmission, Refusal};
use jobsyncd::domain::job::JobId;
use jobsyncd::domain::observation::{Observation, Source};
use jobsyncd::domain::queue::Priority;
use jobsyncd::domain::submission::{Candidate, Order, Payload, Target};
use jobsyncd::domain::timestamp::from_micros;
use jobsyncd::provider::{ProviderError, SubmitError};
use rand::Rng as _;

use super::{CALL_TIMEOUT, Happening, STORMY_FOR, Simulation};
use crate::daemon::{Called, Crashed};
use crate::provider::{self, TrueJob};
use crate::world::{MINUTE, Micros, SECOND};

/// How many jobs are submitted in one world.
const SUBMISSIONS: usize = 60;
/// How long the provider's jobs must not show a submission before it is made again.
const SETTLE: Micros = MINUTE;
/// How long the provider may take to begin a job after it was asked to, whatever became of who asked.
const BEGINS_WITHIN: Micros = 55 * SECOND;

/// The input in which jobs say of which submission they are, in worlds where they do.
const SUBMISSION_INPUT: &str = "submission";

/// What a daemon learns of a call by which a job was to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Learnt {
    /// The provider has it.
    Taken,
    /// The provider does not.
    Refused(ProviderError),
    /// Nothing that could be relied on.
    Nothing(&'static str),
}

impl Simulation {
    /// A user submits a job, or does so again because no answer came.
    pub(super) fn submit(&mut self, number: usize, attempt: u32) -> Result<(), Crashed> {
        if attempt == 0 && number + 1 < SUBMISSIONS && !self.is_calm {
            let spacing = STORMY_FOR / SUBMISSIONS as Micros;
            let pause = self.world.random.random_range(0..2 * spacing);
            self.plan_in(pause, Happening::Submit { number: number + 1, attempt: 0 });
        }
        let again = Happening::Submit { number, attempt: attempt + 1 };
        let pause = SECOND + self.world.delay(MINUTE);
        if self.daemon.is_none() {
            self.plan_in(pause, again);
            return Ok(());
        }
        // Several are given the same.
        let input = serde_json::from_str(&provider::input(number as u32 * 7 % provider::INPUTS));
        let new = NewSubmission {
            // A request knows nothing of the one before it but its key.
            job_id: JobId(format!("sub{number:05}-{attempt}")),
            provider: "replicate".to_owned(),
            order: Order {
                target: Target::Model("a/trainer-h100".to_owned()),
                payload: Payload::Input(input.expect("an object")),
                destination: None,
                run_name: None,
                webhook_url: None,
                secrets: Vec::new(),
            },
            config_name: None,
            user_id: None,
            priority: Priority::NORMAL,
            max_attempts: 3,
            idempotency_key: Some(format!("key{number:05}")),
            estimated_cost_micro_usd: None,
        };
        let stored = self.armed(|daemon, now| daemon.enqueue(&new, now));
        self.note(|| format!("{} is submitted: {stored:?}", new.job_id));
        match stored {
            Ok(job_id) => self.auditor.submitted(number, &job_id.0),
            Err(Crashed) => {
                self.plan_in(pause, again);
                return Err(Crashed);
            }
        }
        if self.fails(self.climate.answer_lost) {
            self.plan_in(pause, again);
        }
        Ok(())
    }

    /// The dispatcher looks at its queue.
    pub(super) fn look(&mut self) -> Result<(), Crashed> {
        let pause = if self.is_calm { 5 * SECOND } else { self.climate.look_every };
        let life = self.life;
        self.plan_in(pause, Happening::Look { life });
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let unresolved = daemon.unresolved();
        for claim in &unresolved {
            if !self.on_their_way.contains(&claim.job_id) {
                self.search(claim, &unresolved)?;
            }
        }
        let claims = self.armed(|daemon, now| daemon.claim(now))?;
        for claim in claims {
            if self.fails(self.climate.crash) {
                // The intent is stored, and nobody was asked.
                return Err(Crashed);
            }
            self.hand_over(claim);
        }
        Ok(())
    }

    /// Calls the provider. What it does and what is learnt of that are two things.
    fn hand_over(&mut self, claim: Claim) {
        self.tally.submissions += 1;
        self.on_their_way.insert(claim.job_id.clone());
        let now = self.world.now();
        let is_down = !self.is_calm && now < self.failing_until;
        let (begins, learnt) = if is_down || self.fails(self.climate.failing) {
            match self.world.random.random_range(0..5) {
                0 => (false, Learnt::Refused(ProviderError::Unreachable("no route".to_owned()))),
                1 => {
                    let (retry_after_seconds, detail) = (30, "throttled".to_owned());
                    (
                        false,
                        Learnt::Refused(ProviderError::Throttled { retry_after_seconds, detail }),
                    )
                }
                2 => (false, Learnt::Nothing("502")),
                _ => (true, Learnt::Nothing("502")),
            }
        } else if self.fails(self.climate.lost) {
            (true, Learnt::Nothing("the connection broke"))
        } else {
            (true, Learnt::Taken)
        };
        let begins_after = if self.is_calm { 0 } else { self.world.delay(BEGINS_WITHIN) };
        let answers_after = if self.is_calm { 0 } else { self.world.delay(CALL_TIMEOUT) };
        if begins {
            let submission = claim.job_id.0.clone();
            let Payload::Input(mut input) = claim.order.payload.clone() else {
                unreachable!("only inputs")
            };
            if self.climate.shows_submissions {
                input.insert(SUBMISSION_INPUT.to_owned(), submission.clone().into());
            }
            let input = serde_json::to_string(&input).expect("JSON");
            self.plan_in(begins_after, Happening::Begin { submission, input });
        }
        let (after, learnt) = match begins_after + answers_after {
            late if late > CALL_TIMEOUT => (CALL_TIMEOUT, Learnt::Nothing("no answer in time")),
            after => (after, learnt),
        };
        self.note(|| format!("{} is handed over ({begins}): {learnt:?}", claim.job_id));
        let life = self.life;
        self.plan_in(after, Happening::Submitted { life, claim: Box::new(claim), learnt });
    }

    /// The provider begins a job that it was asked for.
    pub(super) fn begin(&mut self, submission: String, input: String) {
        let number = self.provider.jobs.len();
        let job = TrueJob {
            input,
            submission: Some(submission),
            forgotten_at: None,
            ..TrueJob::random(number, self.world.now(), &mut self.world.random)
        };
        self.has_begun = true;
        self.add(job);
    }

    /// A daemon learns what its call came to.
    pub(super) fn submitted(&mut self, claim: &Claim, learnt: Learnt) -> Result<(), Crashed> {
        self.on_their_way.remove(&claim.job_id);
        match learnt {
            Learnt::Taken => {
                let job = self.provider.of_submission(&claim.job_id.0).next();
                let id = job.expect("it began before it was answered").id.clone();
                self.take(claim, &id)
            }
            Learnt::Refused(error) => {
                let words = error.to_string();
                let error = SubmitError { error, may_be_taken: false };
                let now = from_micros(self.daemon_clock(self.world.now()));
                let refusal = after_error(&error, claim.attempt, claim.max_attempts, now);
                self.refuse(claim, &refusal.expect("it is not open"), &words)
            }
            Learnt::Nothing(_) => {
                self.lost.insert(claim.job_id.clone(), self.world.now());
                Ok(())
            }
        }
    }

    fn search(&mut self, claim: &Claim, unresolved: &[Claim]) -> Result<(), Crashed> {
        let now = self.world.now();
        let since = *self.lost.entry(claim.job_id.clone()).or_insert(now);
        let Some(found) = self.candidates(claim) else { return Ok(()) };
        let ids: Vec<_> = found.iter().map(|one| one.provider_job_id.clone()).collect();
        let daemon = self.daemon.as_mut().expect("who searches runs");
        let known = daemon.known(&ids);
        let has_twin = unresolved.iter().any(|other| {
            other.job_id != claim.job_id && other.order.payload == claim.order.payload
        });
        let verdict = look_among(claim, found, &known, has_twin);
        self.note(|| format!("{} is looked for: {verdict:?}", claim.job_id));
        let clock = from_micros(self.daemon_clock(now));
        match decide(claim, verdict, now - since >= SETTLE, "lost", clock) {
            Decision::Take(id) => self.take(claim, &id),
            Decision::Wait => Ok(()),
            Decision::Refuse { refusal, words } => {
                for id in refusal.suspects() {
                    let Called::Said(seen) = self.job(id) else { return Ok(()) };
                    let seen = Observation { source: Source::Queue, ..seen };
                    self.record(&[Report::of_call(seen, true)])?;
                }
                if self.fails(self.climate.crash) {
                    return Err(Crashed);
                }
                self.refuse(claim, &refusal, &words)
            }
        }
    }

    /// The provider's jobs since the intent; None where they cannot be read now.
    fn candidates(&mut self, claim: &Claim) -> Option<Vec<Candidate>> {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let (length, skew) = (self.climate.page_length, self.provider_skew);
            let clocks = self.clocks();
            let mut daemon = self.daemon.take().expect("who asks runs");
            let since = claim.newest_known_at;
            let by_input = self.climate.shows_submissions.then_some(SUBMISSION_INPUT);
            let called = daemon.candidates(since, cursor.as_deref(), by_input, clocks, || {
                self.answer(|provider, now| {
                    Some(provider.page(cursor.as_deref(), length, now, |moment| moment + skew))
                })
            });
            self.daemon = Some(daemon);
            let Called::Said(page) = called else { return None };
            found.extend(page.candidates);
            cursor = page.next;
            if cursor.is_none() {
                return Some(found);
            }
        }
    }

    /// Stores that the provider has it, as it says so now.
    fn take(&mut self, claim: &Claim, id: &str) -> Result<(), Crashed> {
        let Called::Said(seen) = self.job(id) else {
            // It is looked for again.
            self.lost.insert(claim.job_id.clone(), self.world.now());
            return Ok(());
        };
        let seen = Observation { source: Source::Queue, ..seen };
        self.record(&[Report::of_submission(claim.job_id.clone(), seen)])?;
        self.lost.remove(&claim.job_id);
        Ok(())
    }

    fn refuse(&mut self, claim: &Claim, refusal: &Refusal, words: &str) -> Result<(), Crashed> {
        self.has_news = true;
        self.note(|| format!("{} is refused: {refusal:?}, {words}", claim.job_id));
        self.armed(|daemon, now| daemon.refuse(&claim.job_id, refusal, words, now))?;
        self.lost.remove(&claim.job_id);
        Ok(())
    }
}
