//! The canceller: ends jobs, and asks their providers again until they have ended.
//!
//! The wish is stored before anybody is asked, so neither an outage nor a restart forgets it. A job that was
//! never handed over ends at once, without a call.

use std::collections::HashMap;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use super::job_reader::Read;
use super::job_reader::queue::ListToCancel;
use super::job_store::RecordReports;
use super::job_store::queue::{RequestCancel, WithdrawCancel};
use super::provider_client::CancelAtProvider;
use crate::db::error::StoreError;
use crate::db::observations::Report;
use crate::db::queue::Cancelled;
use crate::domain::job::{Job, JobId};
use crate::domain::observation::{Observation, Source};
use crate::provider::ProviderError;

/// The pause between two looks for jobs that are to end.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// The pause before a provider is asked again; each other one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Ends a job.
#[derive(Debug, Message)]
#[rtype(result = "Result<CancelAnswer, CancelError>")]
pub struct CancelJob {
    /// Which job.
    pub job_id: JobId,
}

/// Asks nobody any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopCancelling;

/// What became of the wish to end a job.
#[derive(Debug, Clone, PartialEq)]
pub enum CancelAnswer {
    /// It had not been handed over, and has ended.
    Ended,
    /// The provider was told; what it said is stored.
    Told,
    /// The wish is stored, and the provider is asked until the job has ended. These are the words why it has
    /// not heard of it yet.
    Requested(String),
}

/// Why a job is not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider will not do it.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// What the canceller needs from whoever starts it.
#[derive(Clone)]
pub struct CancellerOptions {
    /// Who asks, by the provider's name.
    pub providers: HashMap<String, Recipient<CancelAtProvider>>,
    /// Who stores the wish.
    pub request: Recipient<RequestCancel>,
    /// Who takes it back.
    pub withdraw: Recipient<WithdrawCancel>,
    /// Who stores what a provider says.
    pub record: Recipient<RecordReports>,
    /// Who knows which jobs are to end.
    pub wanted: Recipient<Read<ListToCancel>>,
}

/// When a provider is asked next to end a job.
struct Asked {
    next: Instant,
    pause: Duration,
}

/// The actor. See the top of this file.
pub struct Canceller {
    options: CancellerOptions,
    asked: HashMap<JobId, Asked>,
    timer: Option<SpawnHandle>,
    is_stopping: bool,
}

impl Canceller {
    /// A canceller, not yet started.
    pub fn new(options: CancellerOptions) -> Self {
        Self { options, asked: HashMap::new(), timer: None, is_stopping: false }
    }

    /// Asks for the end of every job that is to end and for which it is time.
    fn look(&mut self, context: &mut Context<Self>) {
        if self.is_stopping {
            return;
        }
        let wanted = self.options.wanted.send(Read(ListToCancel));
        context.spawn(wanted.into_actor(self).map(|wanted, this, context| {
            match wanted {
                Ok(Ok(jobs)) => this.ask_for(jobs, context),
                // It is tried again soon.
                Ok(Err(error)) => log::error!("which jobs are to end cannot be read: {error}"),
                // The daemon is stopping.
                Err(_) => {}
            }
            let look = |this: &mut Self, context: &mut Context<Self>| this.look(context);
            this.timer = Some(context.run_later(LOOK_PAUSE, look));
        }));
    }

    fn ask_for(&mut self, jobs: Vec<Job>, context: &mut Context<Self>) {
        self.asked.retain(|job_id, _| jobs.iter().any(|job| job.job_id == *job_id));
        for job in jobs {
            if !self.is_time_for(&job.job_id) {
                continue;
            }
            let options = self.options.clone();
            let ask = async move {
                let job_id = job.job_id.clone();
                if let Err(error) = tell_provider(&options, job).await {
                    log::warn!("job {job_id} is to end, and its provider does not do it: {error}");
                    if is_lasting(&error) {
                        withdraw(&options, job_id).await;
                    }
                }
            };
            context.spawn(ask.into_actor(self));
        }
    }

    /// Whether it is time to ask for a job's end; the next time is then later.
    fn is_time_for(&mut self, job_id: &JobId) -> bool {
        let now = Instant::now();
        let first = || Asked { next: now, pause: FIRST_PAUSE };
        let asked = self.asked.entry(job_id.clone()).or_insert_with(first);
        let is_time = asked.next <= now;
        if is_time {
            asked.next = now + asked.pause;
            asked.pause = (asked.pause * 2).min(LONGEST_PAUSE);
        }
        is_time
    }
}

/// Asks a provider to end a job, and stores what it says.
async fn tell_provider(options: &CancellerOptions, job: Job) -> Result<(), CancelError> {
    let Some(provider_job_id) = job.provider_job_id else { return Ok(()) };
    let Some(client) = options.providers.get(&job.provider) else {
        let words = format!("no provider is called {}", job.provider);
        return Err(ProviderError::NotFound(words).into());
    };
    let stopping = || ProviderError::Unreachable("the daemon is stopping".to_owned());
    let said = client.send(CancelAtProvider { provider_job_id }).await;
    let said = said.unwrap_or_else(|_| Err(stopping()))?;
    let observation = Observation { source: Source::User, ..said.observation };
    let reports = vec![Report::of_call(observation, false)];
    let stored = options.record.send(RecordReports { reports }).await;
    stored.unwrap_or(Err(StoreError::Stopping))?;
    Ok(())
}

async fn withdraw(options: &CancellerOptions, job_id: JobId) {
    let withdrawn = options.withdraw.send(WithdrawCancel { job_id: job_id.clone() }).await;
    if !matches!(withdrawn, Ok(Ok(()))) {
        log::error!("the wish to end job {job_id} could not be taken back");
    }
}

/// Whether asking again would come to the same.
fn is_lasting(error: &CancelError) -> bool {
    match error {
        CancelError::Provider(
            ProviderError::Refused { .. }
            | ProviderError::NotFound(_)
            | ProviderError::NoToken { .. },
        ) => true,
        CancelError::Provider(_) | CancelError::Store(_) => false,
    }
}

async fn cancel(options: CancellerOptions, job_id: JobId) -> Result<CancelAnswer, CancelError> {
    let requested = options.request.send(RequestCancel { job_id: job_id.clone() }).await;
    let requested = requested.unwrap_or(Err(StoreError::Stopping))?;
    let job = match requested {
        Cancelled::Ended(_) => return Ok(CancelAnswer::Ended),
        Cancelled::Requested(job) => job,
    };
    if job.provider_job_id.is_none() {
        let words = "it is being submitted, and is ended as soon as the provider has it";
        return Ok(CancelAnswer::Requested(words.to_owned()));
    }
    match tell_provider(&options, job).await {
        Ok(()) => Ok(CancelAnswer::Told),
        Err(error) if is_lasting(&error) => {
            withdraw(&options, job_id).await;
            Err(error)
        }
        Err(error) => Ok(CancelAnswer::Requested(error.to_string())),
    }
}

impl Actor for Canceller {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.look(context);
    }
}

impl Handler<CancelJob> for Canceller {
    type Result = ResponseFuture<Result<CancelAnswer, CancelError>>;

    fn handle(&mut self, message: CancelJob, _: &mut Self::Context) -> Self::Result {
        // It is asked for here; the next look need not do it at once as well.
        self.is_time_for(&message.job_id);
        Box::pin(cancel(self.options.clone(), message.job_id))
    }
}

impl Handler<StopCancelling> for Canceller {
    type Result = ();

    fn handle(&mut self, _: StopCancelling, context: &mut Self::Context) {
        self.is_stopping = true;
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
    }
}
