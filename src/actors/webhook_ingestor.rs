//! The webhook ingestor: believes what is signed, and answers when it is stored for good.
//!
//! Concurrent deliveries share commits: while one commit is on its way, the next batch gathers.
//! Each sender is answered only after the commit that holds its delivery.

use std::net::IpAddr;
use std::sync::Arc;

use actix::prelude::*;
use actix_web::web::Bytes;
use ipnet::IpNet;
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::job_store::RecordReports;
use super::provider_client::FetchWebhookSecret;
use super::webhook_key::WebhookKey;
use crate::db::error::StoreError;
use crate::db::observations::{Effect, Outcome, Report, Subject};
use crate::domain::content_coding::{ContentCoding, UnpackError, gunzip};
use crate::domain::job::JobId;
use crate::domain::model_filter::ModelFilter;
use crate::domain::signature::{
    SignatureError, SignatureHeaders, SigningKey, require_recent, verify,
};
use crate::domain::timestamp::{Timestamp, now};
use crate::provider::ProviderError;
use crate::provider::log_readers::LogReaders;
use crate::provider::webhook_body::{self, BodyError, WebhookBody};

/// How many deliveries share a commit at most.
pub(super) const BATCH_MAX: usize = 512;
/// Bodies above this are read on a thread of their own, so that small ones need not wait.
const INLINE_BYTES_MAX: usize = 262_144;

/// A webhook as it came.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, IngestError>")]
pub struct IngestDelivery {
    /// The sender's address.
    pub address: IpAddr,
    /// `webhook-id`.
    pub id: Option<String>,
    /// `webhook-timestamp`.
    pub timestamp: Option<String>,
    /// `webhook-signature`.
    pub signature: Option<String>,
    /// The submission that the URL names, to which the provider was told to send it.
    pub submission: Option<JobId>,
    /// The raw body as it was received: over these bytes it is signed.
    pub body: Bytes,
    /// How it is packed.
    pub coding: ContentCoding,
    /// How large it may be once it is unpacked.
    pub limit_bytes: usize,
}

/// A webhook that came with an API key of this daemon. Trainers sign nothing; whoever has a key may tell what
/// happens in a job, but does not speak for the provider: that still takes a signature.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, IngestError>")]
pub struct IngestWithKey(pub IngestDelivery);

/// Takes no more deliveries, and answers when the last one is committed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FinishIngesting;

/// When the last delivery came that was believed, since the daemon started.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<Timestamp>, IngestError>")]
pub struct GetLastDelivery;

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Receipt {
    /// It is stored; these fields of the job changed.
    Received {
        /// Which job.
        job_id: JobId,
        /// What changed.
        updates: Map<String, Value>,
        /// How many fields of the body could not be read.
        skipped: usize,
    },
    /// It was here before.
    Duplicate {
        /// Which job.
        job_id: JobId,
    },
    /// There was nothing to do.
    Ignored {
        /// Why.
        reason: &'static str,
    },
}

/// Why a delivery was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The sender's address is not in the allow list.
    #[error("webhooks are not taken from {0}")]
    ForbiddenAddress(IpAddr),
    /// The signature is not right.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// There is no secret to check the signature with, and no way to get it.
    #[error("no webhook secret is configured, and none can be fetched: {0}")]
    NoSecret(ProviderError),
    /// The secret cannot be fetched at the moment.
    #[error("the webhook secret cannot be fetched now: {0}")]
    SecretUnavailable(ProviderError),
    /// The body cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The body says nothing.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

/// What the ingestor needs from whoever starts it.
pub struct IngestorOptions {
    /// The provider's name.
    pub provider: &'static str,
    /// The secret from the configuration; None to fetch it from the provider.
    pub secret: Option<SecretString>,
    /// Whether an unsigned webhook is refused.
    pub requires_signature: bool,
    /// The networks from which webhooks are taken; all where there is none.
    pub allowed_ips: Vec<IpNet>,
    /// Which models are tracked.
    pub models: ModelFilter,
    /// Reads the logs in the bodies.
    pub readers: Arc<LogReaders>,
    /// Who stores.
    pub store: Recipient<RecordReports>,
    /// Who fetches the secret.
    pub secrets: Recipient<FetchWebhookSecret>,
}

/// The actor. See the top of this file.
pub struct WebhookIngestor {
    options: Arc<IngestorOptions>,
    key: Arc<WebhookKey>,
    gathering: Vec<Gathered>,
    is_committing: bool,
    last_delivery_at: Option<Timestamp>,
    /// Told when the last delivery is committed; Some once the daemon is stopping.
    finished: Option<Vec<oneshot::Sender<()>>>,
}

/// A delivery that waits for its commit.
struct Gathered {
    report: Report,
    skipped: usize,
    receipt: oneshot::Sender<Result<Receipt, IngestError>>,
}

impl WebhookIngestor {
    /// An ingestor, not yet started.
    pub fn new(options: IngestorOptions) -> Self {
        let key = WebhookKey::new(options.secret.clone(), options.secrets.clone());
        Self {
            options: Arc::new(options),
            key: Arc::new(key),
            gathering: Vec::new(),
            is_committing: false,
            last_delivery_at: None,
            finished: None,
        }
    }

    /// Puts a delivery into the batch that is committed next.
    fn gather(
        &mut self,
        Understood { report, skipped }: Understood,
        context: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<Receipt, IngestError>> {
        let (receipt, answer) = oneshot::channel();
        self.last_delivery_at = Some(report.observation.observed_at);
        self.gathering.push(Gathered { report, skipped, receipt });
        self.commit(context);
        answer
    }

    /// Commits what has gathered, unless a commit is under way.
    fn commit(&mut self, context: &mut Context<Self>) {
        if self.is_committing {
            return;
        }
        if self.gathering.is_empty() {
            self.tell_finished();
            return;
        }
        self.is_committing = true;
        let size = self.gathering.len().min(BATCH_MAX);
        let (reports, receipts): (Vec<_>, Vec<_>) = self
            .gathering
            .drain(..size)
            .map(|gathered| (gathered.report, (gathered.skipped, gathered.receipt)))
            .unzip();
        let commit = self.options.store.send(RecordReports { reports });
        context.spawn(commit.into_actor(self).map(|committed, this, context| {
            let committed = committed.unwrap_or(Err(StoreError::Stopping));
            acknowledge(committed, receipts);
            this.is_committing = false;
            this.commit(context);
        }));
    }

    fn tell_finished(&mut self) {
        for waiting in self.finished.iter_mut().flat_map(std::mem::take) {
            // Who has stopped waiting does not mind.
            let _ = waiting.send(());
        }
    }
}

/// Answers each sender of a batch, now that its fate is known.
fn acknowledge(
    committed: Result<Vec<Outcome>, StoreError>,
    receipts: Vec<(usize, oneshot::Sender<Result<Receipt, IngestError>>)>,
) {
    match committed {
        Ok(outcomes) => {
            for (outcome, (skipped, receipt)) in outcomes.into_iter().zip(receipts) {
                // A sender that has hung up will send again, and be told that it is a duplicate.
                let _ = receipt.send(Ok(Receipt::new(outcome, skipped)));
            }
        }
        Err(error) => {
            for (_, receipt) in receipts {
                let _ = receipt.send(Err(error.clone().into()));
            }
        }
    }
}

impl Receipt {
    fn new(Outcome { job_id, effect }: Outcome, skipped: usize) -> Self {
        match effect {
            Effect::Created(updates) | Effect::Changed(updates) => {
                Self::Received { job_id, updates, skipped }
            }
            Effect::Unchanged => Self::Received { job_id, updates: Map::new(), skipped },
            Effect::Duplicate => Self::Duplicate { job_id },
            Effect::UnknownJob => Self::Ignored { reason: "unknown job" },
        }
    }
}

fn headers(delivery: &IngestDelivery) -> SignatureHeaders<'_> {
    SignatureHeaders {
        id: delivery.id.as_deref(),
        timestamp: delivery.timestamp.as_deref(),
        signature: delivery.signature.as_deref(),
    }
}

/// Why a delivery may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Its signature, if one is needed.
    Signature,
    /// An API key of this daemon.
    Key,
}

/// Checks the signature. Where it does not match, the provider may have changed its secret.
async fn believe(
    options: &IngestorOptions,
    key: &WebhookKey,
    delivery: &IngestDelivery,
) -> Result<(), IngestError> {
    if delivery.signature.is_none() && !options.requires_signature {
        return Ok(());
    }
    // Before a key is fetched: what cannot be right needs none.
    require_recent(headers(delivery), now())?;
    let check = |key: &SigningKey| verify(key, headers(delivery), &delivery.body, now());
    match check(&key.current().await?) {
        Err(SignatureError::Mismatch) => {
            let fresh = key.fresh().await.ok_or(SignatureError::Mismatch)?;
            Ok(check(&fresh)?)
        }
        checked => Ok(checked?),
    }
}

/// A delivery that was read.
struct Understood {
    report: Report,
    /// How many fields of the body could not be read.
    skipped: usize,
}

/// Unpacks the body where it came packed: once it is believed, because a little that is packed can be much.
async fn unpack(delivery: IngestDelivery) -> Result<IngestDelivery, IngestError> {
    if delivery.coding == ContentCoding::Identity {
        return Ok(delivery);
    }
    let unpack = move || {
        let body = gunzip(&delivery.body, delivery.limit_bytes)?.into();
        Ok(IngestDelivery { body, coding: ContentCoding::Identity, ..delivery })
    };
    tokio::task::spawn_blocking(unpack).await.unwrap_or(Err(IngestError::Stopping))
}

/// Reads the body, on a thread of its own where it is large. None where a trainer that does not know its job
/// speaks: there is nothing to do, and it shall not send that again.
async fn understand(
    options: Arc<IngestorOptions>,
    delivery: IngestDelivery,
    proof: Proof,
) -> Result<Option<Understood>, IngestError> {
    let is_small = delivery.body.len() <= INLINE_BYTES_MAX;
    let read = move || {
        let body = webhook_body::read(options.provider, &delivery.body, now(), &options.readers)?;
        // Only what the provider says makes a job known; and only where its model is tracked.
        let (observation, creates, submission, skipped) = match body {
            WebhookBody::Provider { .. } if proof == Proof::Key => {
                return Err(SignatureError::Missing.into());
            }
            WebhookBody::Nameless => return Ok(None),
            WebhookBody::Provider { said, skipped } => {
                let creates = options.models.matches(said.model.as_deref());
                (said, creates, delivery.submission, skipped)
            }
            // The trainer does not always know the provider's identifier.
            WebhookBody::Trainer(said) => (said, false, None, 0),
        };
        let subject = submission.map_or(Subject::AtProvider, Subject::Submission);
        // An unsigned id proves nothing: it could make us drop another's message.
        let webhook_id = delivery.id.filter(|_| delivery.signature.is_some());
        let report = Report { subject, observation: *observation, webhook_id, creates };
        Ok(Some(Understood { report, skipped }))
    };
    if is_small {
        return read();
    }
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(IngestError::Stopping))
}

impl Actor for WebhookIngestor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(1024);
    }
}

impl Handler<IngestDelivery> for WebhookIngestor {
    type Result = ResponseActFuture<Self, Result<Receipt, IngestError>>;

    fn handle(&mut self, delivery: IngestDelivery, _: &mut Self::Context) -> Self::Result {
        self.ingest(delivery, Proof::Signature)
    }
}

impl Handler<IngestWithKey> for WebhookIngestor {
    type Result = ResponseActFuture<Self, Result<Receipt, IngestError>>;

    fn handle(&mut self, message: IngestWithKey, _: &mut Self::Context) -> Self::Result {
        let IngestWithKey(delivery) = message;
        let is_signed = delivery.signature.is_some() || !self.options.requires_signature;
        self.ingest(delivery, if is_signed { Proof::Signature } else { Proof::Key })
    }
}

impl WebhookIngestor {
    /// Believes, understands and stores a delivery, and answers when it is stored.
    fn ingest(
        &self,
        delivery: IngestDelivery,
        proof: Proof,
    ) -> ResponseActFuture<Self, Result<Receipt, IngestError>> {
        let options = self.options.clone();
        let address = delivery.address;
        let is_allowed = options.allowed_ips.is_empty()
            || options.allowed_ips.iter().any(|network| network.contains(&address));
        let refusal = if !is_allowed {
            Some(IngestError::ForbiddenAddress(address))
        } else if self.finished.is_some() {
            Some(IngestError::Stopping)
        } else {
            None
        };
        if let Some(error) = refusal {
            return Box::pin(actix::fut::ready(Err(error)));
        }
        let key = self.key.clone();
        let understood = async move {
            if proof == Proof::Signature {
                believe(&options, &key, &delivery).await?;
            }
            understand(options, unpack(delivery).await?, proof).await
        };
        let gathered = understood.into_actor(self).map(|understood, this, context| {
            let report = understood?;
            Ok::<_, IngestError>(report.map(|report| this.gather(report, context)))
        });
        Box::pin(gathered.then(|gathered, this, _| {
            let receipt = async move {
                match gathered? {
                    Some(receipt) => receipt.await.unwrap_or(Err(IngestError::Stopping)),
                    None => Ok(Receipt::Ignored { reason: "no job is named" }),
                }
            };
            receipt.into_actor(this)
        }))
    }
}

impl Handler<FinishIngesting> for WebhookIngestor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: FinishIngesting, context: &mut Self::Context) -> Self::Result {
        let (sender, finished) = oneshot::channel();
        self.finished.get_or_insert_default().push(sender);
        self.commit(context);
        Box::pin(async move {
            // A dropped sender means that the actor is gone, and nothing is left to commit.
            let _ = finished.await;
        })
    }
}

impl Handler<GetLastDelivery> for WebhookIngestor {
    type Result = Result<Option<Timestamp>, IngestError>;

    fn handle(&mut self, _: GetLastDelivery, _: &mut Self::Context) -> Self::Result {
        Ok(self.last_delivery_at)
    }
}
