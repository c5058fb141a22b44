//! The dispatcher: hands jobs of the queue to their providers, each exactly once.
//!
//! The intent is stored before the call. Where the call's outcome stays unknown (no answer, an answer that
//! says nothing, a crash), the provider's own jobs are searched, and only when they have not shown the
//! job for long enough is it handed over again. What cannot be decided fails with words that say so.

pub mod attempt;
pub mod search;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::attempt::{Outcome, hand_over};
use self::search::Search;
use super::job_reader::Read;
use super::job_reader::queue::{ListKnownAtProvider, ListUnresolved};
use super::job_store::RecordReports;
use super::job_store::queue::{ClaimJobs, EnqueueJob, RefuseJob};
use super::provider_client::{FetchCandidates, FetchJob, RecallJob, SubmitAtProvider};
use crate::db::error::StoreError;
use crate::db::queue::{Claim, NewSubmission};
use crate::domain::job::{Job, JobId};
use crate::domain::queue::Limits;
use crate::domain::submission::SecretInputs;

/// How many jobs are being handed over at a time.
const HANDED_OVER_AT_ONCE: usize = 16;
/// The pause between the first two searches for a job; each other one is twice as long.
const FIRST_SEARCH_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST_SEARCH_PAUSE: Duration = Duration::from_secs(60);
/// How long a stop waits for calls under way, so that their outcome is known.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Stores a job that is to be submitted. Answers it, and whether it was there before.
#[derive(Debug, Message)]
#[rtype(result = "Result<(Job, bool), StoreError>")]
pub struct SubmitJob {
    /// The job.
    pub new: NewSubmission,
    /// What belongs to it and must not be stored.
    pub secrets: SecretInputs,
}

/// Hands over whatever may be, now, also where that does not happen by itself. Answers which jobs.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<JobId>, StoreError>")]
pub struct ProcessQueue;

/// There may be something to do.
#[derive(Debug, Clone, Default, Message)]
#[rtype(result = "()")]
pub struct LookAtQueue {
    /// Jobs that have left the queue, whose places others may have.
    pub ended: Vec<JobId>,
}

/// Hands nothing over any more. Answers when what was under way has ended, or has taken too long.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopDispatching;

/// How the dispatcher reaches one provider.
#[derive(Clone)]
pub struct Destination {
    /// Who begins jobs there.
    pub submit: Recipient<SubmitAtProvider>,
    /// Who reads its jobs.
    pub candidates: Recipient<FetchCandidates>,
    /// Who reads one of them.
    pub job: Recipient<FetchJob>,
    /// Who asks after a submission where there is no list to search.
    pub recall: Option<Recipient<RecallJob>>,
    /// How long its jobs must not show a submission before that is made again.
    pub settle: Duration,
}

/// What the dispatcher needs from whoever starts it.
pub struct DispatcherOptions {
    /// Whether it works by itself.
    pub is_enabled: bool,
    /// The pause between two looks.
    pub interval: Duration,
    /// The configured limits.
    pub limits: Limits,
    /// Where jobs go, by the provider's name.
    pub destinations: HashMap<String, Destination>,
    /// Who stores a job.
    pub enqueue: Recipient<EnqueueJob>,
    /// Who takes jobs out of the queue.
    pub claim: Recipient<ClaimJobs>,
    /// Who stores that a provider does not have a job.
    pub refuse: Recipient<RefuseJob>,
    /// Who stores what a provider says.
    pub record: Recipient<RecordReports>,
    /// Who knows of which jobs the outcome is unknown.
    pub unresolved: Recipient<Read<ListUnresolved>>,
    /// Who knows the provider's jobs.
    pub known: Recipient<Read<ListKnownAtProvider>>,
}

/// A job of which it is not known whether the provider took it.
struct Lost {
    since: Instant,
    next_search: Instant,
    pause: Duration,
    /// What went wrong.
    words: String,
    /// The daemon has run ever since, so that a webhook about the job would have reached it.
    was_heard: bool,
}

impl Lost {
    fn new(words: String, was_heard: bool) -> Self {
        let since = Instant::now();
        Self { since, next_search: since, pause: FIRST_SEARCH_PAUSE, words, was_heard }
    }

    /// Sets the time of the next search: later and later, but for one as soon as it can decide.
    fn put_off(&mut self, settle: Duration) {
        let (now, settled_at) = (Instant::now(), self.since + settle);
        self.next_search = now + self.pause;
        if settled_at > now {
            self.next_search = self.next_search.min(settled_at);
        }
        self.pause = (self.pause * 2).min(LONGEST_SEARCH_PAUSE);
    }
}

/// The actor. See the top of this file.
pub struct Dispatcher {
    options: Rc<DispatcherOptions>,
    /// Secrets of jobs that wait.
    secrets: HashMap<JobId, SecretInputs>,
    under_way: HashSet<JobId>,
    lost: HashMap<JobId, Lost>,
    is_looking: bool,
    is_look_due: bool,
    /// Who wants to know which jobs the next look takes out of the queue.
    askers: Vec<oneshot::Sender<Result<Vec<JobId>, StoreError>>>,
    stopped: Option<Vec<oneshot::Sender<()>>>,
    timer: Option<SpawnHandle>,
}

impl Dispatcher {
    /// A dispatcher, not yet started.
    pub fn new(options: DispatcherOptions) -> Self {
        Self {
            options: Rc::new(options),
            secrets: HashMap::new(),
            under_way: HashSet::new(),
            lost: HashMap::new(),
            is_looking: false,
            is_look_due: false,
            askers: Vec::new(),
            stopped: None,
            timer: None,
        }
    }

    /// Looks at the queue, now or when the look under way has ended; then again after the interval.
    ///
    /// Two looks never overlap: a job that one of them takes out of the queue would seem lost to the other.
    fn look(&mut self, context: &mut Context<Self>) {
        if self.stopped.is_some() {
            return;
        }
        if self.is_looking {
            self.is_look_due = true;
            return;
        }
        self.is_looking = true;
        let unresolved = self.options.unresolved.send(Read(ListUnresolved));
        context.spawn(unresolved.into_actor(self).map(|unresolved, this, context| {
            this.search_for(answered(unresolved), context);
            this.take_next(context);
        }));
    }

    /// Takes as many jobs out of the queue as can be handed over now, and ends the look.
    fn take_next(&mut self, context: &mut Context<Self>) {
        let askers = std::mem::take(&mut self.askers);
        if !self.options.is_enabled && askers.is_empty() {
            self.end_look(context);
            return;
        }
        let at_most = HANDED_OVER_AT_ONCE.saturating_sub(self.under_way.len());
        let claim = self.options.claim.send(ClaimJobs { limits: self.options.limits, at_most });
        context.spawn(claim.into_actor(self).map(|claims, this, context| {
            let claims = answered(claims);
            let ids = claims
                .as_ref()
                .map(|claims| claims.iter().map(|claim| claim.job_id.clone()).collect::<Vec<_>>());
            for asker in askers {
                // Who has hung up meanwhile needs no answer.
                let _ = asker.send(ids.clone().map_err(Clone::clone));
            }
            this.hand_over_all(claims, context);
            this.end_look(context);
        }));
    }

    fn end_look(&mut self, context: &mut Context<Self>) {
        self.is_looking = false;
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        let look = |this: &mut Self, context: &mut Context<Self>| this.look(context);
        self.timer = Some(context.run_later(self.options.interval, look));
        if std::mem::take(&mut self.is_look_due) || !self.askers.is_empty() {
            self.look(context);
        }
    }

    fn hand_over_all(
        &mut self,
        claims: Result<Vec<Claim>, StoreError>,
        context: &mut Context<Self>,
    ) {
        match claims {
            Ok(claims) => claims.into_iter().for_each(|claim| self.hand_over(claim, context)),
            Err(error) => log::error!("the queue cannot be looked at: {error}"),
        }
    }

    /// Hands one job to its provider. What comes of it is stored.
    fn hand_over(&mut self, claim: Claim, context: &mut Context<Self>) {
        let job_id = claim.job_id.clone();
        self.under_way.insert(job_id.clone());
        let secrets = self.secrets.get(&job_id).cloned().unwrap_or_default();
        let attempt = hand_over(self.options.clone(), claim, secrets);
        context.spawn(attempt.into_actor(self).map(move |outcome, this, context| {
            if outcome == Outcome::Taken {
                this.secrets.remove(&job_id);
            }
            this.end(job_id, outcome, context);
        }));
    }

    /// Searches for the jobs whose outcome is unknown, as far as it is time.
    fn search_for(
        &mut self,
        unresolved: Result<Vec<Claim>, StoreError>,
        context: &mut Context<Self>,
    ) {
        let unresolved = match unresolved {
            Ok(unresolved) => unresolved,
            Err(error) => {
                log::error!("what is to be searched for cannot be read: {error}");
                return;
            }
        };
        let is_open = |job_id: &JobId| unresolved.iter().any(|claim| claim.job_id == *job_id);
        self.lost.retain(|job_id, _| is_open(job_id));
        for claim in &unresolved {
            if self.under_way.contains(&claim.job_id) {
                continue;
            }
            let settle = self.settle_of(&claim.provider);
            let job_id = claim.job_id.clone();
            let lost = self.lost.entry(job_id.clone()).or_insert_with(|| {
                Lost::new("the daemon ended while it was being submitted".to_owned(), false)
            });
            if lost.next_search > Instant::now() {
                continue;
            }
            let is_settled = lost.since.elapsed() >= settle;
            lost.put_off(settle);
            let is_twin = |other: &Claim| {
                other.job_id != claim.job_id && other.order.payload == claim.order.payload
            };
            let search = Search {
                options: self.options.clone(),
                claim: claim.clone(),
                has_twin: unresolved.iter().any(is_twin),
                words: lost.words.clone(),
                was_heard: lost.was_heard,
                is_settled,
            };
            self.under_way.insert(job_id.clone());
            context.spawn(search.run().into_actor(self).map(move |is_taken, this, context| {
                if is_taken {
                    this.secrets.remove(&job_id);
                }
                this.end(job_id, Outcome::Refused, context);
            }));
        }
    }

    fn settle_of(&self, provider: &str) -> Duration {
        self.options.destinations.get(provider).map_or(Duration::ZERO, |place| place.settle)
    }

    /// An attempt or a search has ended.
    fn end(&mut self, job_id: JobId, outcome: Outcome, context: &mut Context<Self>) {
        self.under_way.remove(&job_id);
        if let Outcome::Unknown(words) = outcome {
            log::warn!("whether job {job_id} was taken is not known: {words}");
            self.lost.insert(job_id, Lost::new(words, true));
        }
        if self.under_way.is_empty() {
            for waiting in self.stopped.iter_mut().flat_map(std::mem::take) {
                // Who has stopped waiting does not mind.
                let _ = waiting.send(());
            }
        }
        self.look(context);
    }
}

fn answered<T>(answer: Result<Result<T, StoreError>, MailboxError>) -> Result<T, StoreError> {
    answer.unwrap_or(Err(StoreError::Stopping))
}

impl Actor for Dispatcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Limits { max_concurrent, user_max_concurrent, .. } = self.options.limits;
        log::info!(
            "queue processing {}, every {} s, {max_concurrent} jobs at a time, {user_max_concurrent} of one user",
            if self.options.is_enabled { "enabled" } else { "disabled" },
            self.options.interval.as_secs(),
        );
        self.look(context);
    }
}

impl Handler<SubmitJob> for Dispatcher {
    type Result = ResponseActFuture<Self, Result<(Job, bool), StoreError>>;

    fn handle(&mut self, message: SubmitJob, _: &mut Self::Context) -> Self::Result {
        let SubmitJob { new, secrets } = message;
        let job_id = new.job_id.clone();
        if !secrets.is_empty() {
            // Before it can be taken out of the queue.
            self.secrets.insert(job_id.clone(), secrets);
        }
        let stored = self.options.enqueue.send(EnqueueJob(new));
        Box::pin(stored.into_actor(self).map(move |stored, this, context| {
            let stored = answered(stored);
            if !matches!(stored, Ok((_, false))) {
                this.secrets.remove(&job_id);
            }
            this.look(context);
            stored
        }))
    }
}

impl Handler<ProcessQueue> for Dispatcher {
    type Result = ResponseFuture<Result<Vec<JobId>, StoreError>>;

    fn handle(&mut self, _: ProcessQueue, context: &mut Self::Context) -> Self::Result {
        let (asker, answer) = oneshot::channel();
        if self.stopped.is_none() {
            self.askers.push(asker);
            self.look(context);
        }
        // Who is not served is told so, because the asker is dropped.
        let stopping = Err(StoreError::Stopping);
        Box::pin(async move { answer.await.unwrap_or(stopping) })
    }
}

impl Handler<LookAtQueue> for Dispatcher {
    type Result = ();

    fn handle(&mut self, message: LookAtQueue, context: &mut Self::Context) {
        for job_id in message.ended {
            self.secrets.remove(&job_id);
        }
        self.look(context);
    }
}

impl Handler<StopDispatching> for Dispatcher {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopDispatching, context: &mut Self::Context) -> Self::Result {
        self.askers.clear();
        let stopped = self.stopped.get_or_insert_default();
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        if self.under_way.is_empty() {
            return Box::pin(async {});
        }
        let (sender, ended) = oneshot::channel();
        stopped.push(sender);
        Box::pin(async move {
            // What has not ended by then is found again by the next daemon.
            let _ = tokio::time::timeout(STOP_WITHIN, ended).await;
        })
    }
}
