//! The one place that maps errors to answers (`api.md`, "Errors, everywhere").
//!
//! Whatever goes wrong, the answer is JSON with `detail`, `error`, `message` and `details`. It never
//! holds the text of a database error, a panic or a secret.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::{Value, json};

use crate::actors::broadcaster::SubscribeError;
use crate::actors::canceller::CancelError;
use crate::actors::notifier::UnknownChannel;
use crate::actors::syncer::SyncError;
use crate::actors::webhook_ingestor::IngestError;
use crate::db::error::StoreError;
use crate::domain::content_coding::UnpackError;
use crate::domain::job::{JobId, JobStatus};
use crate::domain::job_texts::JobText;
use crate::domain::timestamp::{Timestamp, now};
use crate::provider::ProviderError;
use crate::provider::token::TokenError;
use crate::provider::webhook_body::BodyError;

/// When to come back where nothing better is known, in seconds.
const RETRY_AFTER_SECONDS: u64 = 2;

/// Everything that a handler can answer instead of what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A parameter or field has a value that is none of the allowed ones.
    #[error("{field}: {} is not one of: {}", quoted(word), allowed.join(", "))]
    UnknownValue {
        /// Which parameter or field.
        field: &'static str,
        /// What was given.
        word: String,
        /// What is allowed.
        allowed: Vec<&'static str>,
    },
    /// A parameter or field has the wrong shape or is out of range.
    #[error("{field}: {problem}")]
    BadValue {
        /// Which parameter or field.
        field: String,
        /// What is wrong with it, and what is allowed.
        problem: String,
    },
    /// The body is not of a type that is taken.
    #[error("the body must be JSON: send Content-Type: application/json")]
    NotJsonType,
    /// The body is said to be JSON and is not.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body is larger than is taken.
    #[error("the body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body is packed in a way that is not understood.
    #[error("Content-Encoding {} is not taken: gzip, or none", quoted(.0))]
    UnknownCoding(String),
    /// The body cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The body did not arrive in full.
    #[error("the body ended before its announced length")]
    BodyCut,
    /// The log of a finished job is not kept any more.
    #[error(
        "the log of job {job_id} was pruned at {pruned_at}: logs.retention_days and logs.retention_mb say how long one is kept"
    )]
    LogPruned {
        /// Which job.
        job_id: JobId,
        /// When.
        pruned_at: Timestamp,
        /// How long the log was, in bytes.
        log_bytes: u64,
    },
    /// The log of a job is lost.
    #[error(
        "the log of job {job_id} is lost: the provider had deleted it by {lost_at}, before it could be fetched"
    )]
    LogLost {
        /// Which job.
        job_id: JobId,
        /// When that was found.
        lost_at: Timestamp,
    },
    /// A job has no such text.
    #[error("{}: a job has the texts error_message and output_url", quoted(.field))]
    UnknownText {
        /// What was asked for.
        field: String,
    },
    /// The job has no text in this field.
    #[error("job {job_id} has no {field}")]
    NoText {
        /// Which job.
        job_id: JobId,
        /// Which field.
        field: &'static str,
    },
    /// There is no such route.
    #[error("Not Found")]
    NoRoute,
    /// The route takes other methods.
    #[error("Method Not Allowed: {allowed} only")]
    NoMethod {
        /// The methods that it takes.
        allowed: String,
    },
    /// There is no such provider.
    #[error("Unknown provider: {0}")]
    UnknownProvider(String),
    /// There is such a provider, and it is not set up.
    #[error("the provider {provider} is not set up: set {set_up_by}")]
    ProviderNotSetUp {
        /// Which provider.
        provider: &'static str,
        /// The key of the configuration that sets it up.
        set_up_by: &'static str,
    },
    /// No credentials, or wrong ones.
    #[error("an API key is needed: send X-API-Key, or Authorization: Bearer")]
    Unauthorized,
    /// The Host header names a host that this daemon is not.
    #[error("the Host {0:?} is not this daemon's: see server.allowed_hosts")]
    ForeignHost(String),
    /// The request comes from another site's page.
    #[error("the Origin {0:?} is not allowed: see server.allowed_origins")]
    ForeignOrigin(String),
    /// What may be spent is spent.
    #[error("{words}: no further jobs are taken before {until}")]
    SpendingLimit {
        /// How it stands.
        words: String,
        /// When the next period begins.
        until: Timestamp,
    },
    /// Secrets of a job are not stored, and must be given again.
    #[error("secrets: {} is not stored, so give it again: {{\"secrets\": {{\"{}\": \"…\"}}}}", missing.join(" and "), missing.first().map_or("", String::as_str))]
    SecretsMissing {
        /// Their names.
        missing: Vec<String>,
    },
    /// A job that has not ended cannot be made again.
    #[error(
        "Job {job_id} is {status}: only a job that has ended can be made again, cancel it first"
    )]
    NotEnded {
        /// Which job.
        job_id: JobId,
        /// Its state.
        status: JobStatus,
    },
    /// What a job was made of is not known.
    #[error(
        "Job {0} cannot be made again: it was not submitted through this daemon, or its entry in the queue was cleaned up"
    )]
    NoOrder(JobId),
    /// A token cannot be kept.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is no such channel of notifications.
    #[error(transparent)]
    UnknownChannel(#[from] UnknownChannel),
    /// No notification of this number could not be delivered.
    #[error("Dead letter not found: {}", quoted(.0))]
    NoDeadLetter(String),
    /// The daemon has too much to do, or is stopping.
    #[error("the daemon is busy or stopping, try again")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A sync.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A cancel.
    #[error(transparent)]
    Cancel(#[from] CancelError),
    /// A webhook.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The event stream.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

/// How much of a value an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// A value that was sent, as errors repeat it: in quotes, with its control characters escaped, and
/// not at length.
pub(super) fn quoted(value: &str) -> String {
    match value.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// What an error looks like from outside.
struct Face {
    status: StatusCode,
    name: &'static str,
    details: Value,
    retry_after_seconds: Option<u64>,
}

impl Face {
    fn new(status: StatusCode, name: &'static str) -> Self {
        Self { status, name, details: json!({}), retry_after_seconds: None }
    }

    fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }

    fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

impl ApiError {
    fn face(&self) -> Face {
        match self {
            Self::UnknownValue { field, allowed, .. } => {
                Face::new(StatusCode::BAD_REQUEST, "unknown_value")
                    .with(json!({"field": field, "allowed": allowed}))
            }
            Self::BadValue { field, .. } => {
                Face::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value")
                    .with(json!({"field": field}))
            }
            Self::NotJsonType | Self::NotJson(_) => {
                Face::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json")
            }
            Self::BodyTooLarge { limit_bytes } => {
                Face::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
                    .with(json!({"limit_bytes": limit_bytes}))
            }
            Self::UnknownCoding(coding) => {
                Face::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding")
                    .with(json!({"content_encoding": coding, "allowed": ["gzip", "identity"]}))
            }
            Self::Unpack(error) => of_unpack(error),
            Self::LogPruned { job_id, pruned_at, log_bytes } => {
                Face::new(StatusCode::GONE, "log_pruned")
                    .with(json!({"job_id": job_id, "pruned_at": pruned_at, "log_bytes": log_bytes}))
            }
            Self::LogLost { job_id, lost_at } => Face::new(StatusCode::GONE, "log_lost")
                .with(json!({"job_id": job_id, "lost_at": lost_at})),
            Self::UnknownText { field } => Face::new(StatusCode::NOT_FOUND, "unknown_text")
                .with(json!({"field": field, "allowed": JobText::ALL.map(JobText::as_str)})),
            Self::NoText { job_id, field } => Face::new(StatusCode::NOT_FOUND, "no_text")
                .with(json!({"job_id": job_id, "field": field})),
            Self::BodyCut => Face::new(StatusCode::BAD_REQUEST, "body_cut"),
            Self::NoRoute => Face::new(StatusCode::NOT_FOUND, "not_found"),
            Self::NoMethod { allowed } => {
                Face::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
                    .with(json!({"allowed": allowed}))
            }
            Self::UnknownProvider(name) => unknown_provider(name),
            Self::ProviderNotSetUp { provider, set_up_by } => {
                Face::new(StatusCode::CONFLICT, "provider_not_set_up")
                    .with(json!({"provider": provider, "set_up_by": set_up_by}))
            }
            Self::Unauthorized => Face::new(StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::ForeignHost(_) => Face::new(StatusCode::FORBIDDEN, "foreign_host"),
            Self::ForeignOrigin(_) => Face::new(StatusCode::FORBIDDEN, "foreign_origin"),
            Self::SpendingLimit { until, .. } => {
                let seconds = (*until - now()).num_seconds().max(1).unsigned_abs();
                Face::new(StatusCode::TOO_MANY_REQUESTS, "spending_limit_reached")
                    .with(json!({"until": until}))
                    .retry_after(seconds)
            }
            Self::Token(TokenError::NoFile) => Face::new(StatusCode::CONFLICT, "no_token_file"),
            Self::Token(TokenError::Io { .. }) => {
                Face::new(StatusCode::SERVICE_UNAVAILABLE, "token_not_kept")
                    .retry_after(RETRY_AFTER_SECONDS)
            }
            Self::SecretsMissing { missing } => {
                Face::new(StatusCode::UNPROCESSABLE_ENTITY, "secrets_missing")
                    .with(json!({"field": "secrets", "missing": missing}))
            }
            Self::NotEnded { job_id, status } => Face::new(StatusCode::CONFLICT, "job_active")
                .with(json!({"job_id": job_id, "status": status})),
            Self::NoOrder(job_id) => {
                Face::new(StatusCode::CONFLICT, "no_order").with(json!({"job_id": job_id}))
            }
            Self::UnknownChannel(UnknownChannel(name)) => {
                Face::new(StatusCode::NOT_FOUND, "unknown_channel").with(json!({"channel": name}))
            }
            Self::NoDeadLetter(_) => Face::new(StatusCode::NOT_FOUND, "dead_letter_not_found"),
            Self::Busy => {
                Face::new(StatusCode::SERVICE_UNAVAILABLE, "busy").retry_after(RETRY_AFTER_SECONDS)
            }
            Self::Store(error) => of_store(error),
            Self::Provider(error) => of_provider(error),
            Self::Sync(error) => of_sync(error),
            Self::Cancel(CancelError::Store(error)) => of_store(error),
            Self::Cancel(CancelError::Provider(error)) => of_provider(error),
            Self::Ingest(error) => of_ingest(error),
            Self::Subscribe(error) => of_subscribe(*error),
        }
    }
}

fn unknown_provider(name: &str) -> Face {
    Face::new(StatusCode::NOT_FOUND, "unknown_provider").with(json!({"provider": name}))
}

fn of_unpack(error: &UnpackError) -> Face {
    match error {
        UnpackError::TooLarge { limit_bytes } => {
            Face::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
                .with(json!({"limit_bytes": limit_bytes}))
        }
        UnpackError::Damaged => Face::new(StatusCode::BAD_REQUEST, "body_not_gzip"),
    }
}

fn of_store(error: &StoreError) -> Face {
    match error {
        StoreError::NotFound(job_id) => {
            Face::new(StatusCode::NOT_FOUND, "job_not_found").with(json!({"job_id": job_id}))
        }
        StoreError::Ambiguous { prefix, candidates } => {
            Face::new(StatusCode::CONFLICT, "ambiguous_id")
                .with(json!({"prefix": prefix, "candidates": candidates}))
        }
        StoreError::StillActive { job_id, status } => Face::new(StatusCode::CONFLICT, "job_active")
            .with(json!({"job_id": job_id, "status": status})),
        StoreError::Finished { job_id, status } => Face::new(StatusCode::CONFLICT, "job_finished")
            .with(json!({"job_id": job_id, "status": status})),
        StoreError::NotInQueue(job_id) => {
            Face::new(StatusCode::NOT_FOUND, "not_in_queue").with(json!({"job_id": job_id}))
        }
        StoreError::NotWaiting { job_id, status } => Face::new(StatusCode::CONFLICT, "not_waiting")
            .with(json!({"job_id": job_id, "queue_status": status})),
        StoreError::KeyReused(job_id) => Face::new(StatusCode::CONFLICT, "idempotency_key_reused")
            .with(json!({"job_id": job_id})),
        StoreError::QueueFull { pending } => Face::new(StatusCode::TOO_MANY_REQUESTS, "queue_full")
            .with(json!({"pending": pending}))
            .retry_after(60),
        StoreError::Stopping => {
            Face::new(StatusCode::SERVICE_UNAVAILABLE, "stopping").retry_after(RETRY_AFTER_SECONDS)
        }
        StoreError::Unavailable(_) => {
            Face::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
                .retry_after(RETRY_AFTER_SECONDS)
        }
    }
}

fn of_provider(error: &ProviderError) -> Face {
    let gateway = |name| Face::new(StatusCode::BAD_GATEWAY, name);
    match error {
        ProviderError::NoToken { variable, .. } => {
            gateway("provider_not_configured").with(json!({"variable": variable}))
        }
        ProviderError::Occupied(_) => gateway("provider_occupied"),
        ProviderError::Untold(_) => gateway("provider_silent"),
        ProviderError::Unsupported(_) => Face::new(StatusCode::CONFLICT, "not_supported"),
        ProviderError::NotFound(_) => gateway("provider_not_found").with(json!({"status": 404})),
        ProviderError::Refused { status, .. } => {
            gateway("provider_refused").with(json!({"status": status}))
        }
        ProviderError::Failing { status, .. } => {
            gateway("provider_failing").with(json!({"status": status}))
        }
        ProviderError::Throttled { retry_after_seconds, .. } => gateway("provider_throttled")
            .with(json!({"status": 429}))
            .retry_after(*retry_after_seconds),
        ProviderError::BudgetSpent { retry_after_seconds } => {
            Face::new(StatusCode::TOO_MANY_REQUESTS, "rate_budget_spent")
                .retry_after(*retry_after_seconds)
        }
        ProviderError::OutOfOrder { retry_after_seconds, .. } => {
            gateway("provider_out_of_order").retry_after(*retry_after_seconds)
        }
        ProviderError::Unreachable(_) | ProviderError::CutOff(_) => gateway("provider_unreachable"),
        ProviderError::Timeout { seconds } => {
            Face::new(StatusCode::GATEWAY_TIMEOUT, "provider_timeout")
                .with(json!({"timeout_seconds": seconds}))
        }
        ProviderError::Garbled(_) => gateway("provider_garbled"),
    }
}

fn of_sync(error: &SyncError) -> Face {
    match error {
        SyncError::UnknownProvider(name) => unknown_provider(name),
        SyncError::UnderWay(provider) => {
            Face::new(StatusCode::CONFLICT, "sync_under_way").with(json!({"provider": provider}))
        }
        SyncError::Provider(error) => of_provider(error),
        SyncError::Store(error) => of_store(error),
    }
}

fn of_ingest(error: &IngestError) -> Face {
    let unavailable =
        |name| Face::new(StatusCode::SERVICE_UNAVAILABLE, name).retry_after(RETRY_AFTER_SECONDS);
    match error {
        IngestError::ForbiddenAddress(_) => Face::new(StatusCode::FORBIDDEN, "address_not_allowed"),
        IngestError::Signature(_) => Face::new(StatusCode::UNAUTHORIZED, "bad_signature"),
        IngestError::NoSecret(_) => Face::new(StatusCode::UNAUTHORIZED, "no_webhook_secret"),
        IngestError::SecretUnavailable(_) => unavailable("webhook_secret_unavailable"),
        IngestError::Body(BodyError::NotJson(_)) => {
            Face::new(StatusCode::BAD_REQUEST, "body_not_json")
        }
        IngestError::Body(BodyError::CutOff) => unavailable("body_cut"),
        IngestError::Body(BodyError::NoId) => Face::new(StatusCode::BAD_REQUEST, "body_without_id"),
        IngestError::Unpack(error) => of_unpack(error),
        IngestError::Store(error) => of_store(error),
        IngestError::Stopping => unavailable("stopping"),
    }
}

fn of_subscribe(error: SubscribeError) -> Face {
    let limited = |limit| {
        Face::new(StatusCode::SERVICE_UNAVAILABLE, "connection_limit_reached")
            .with(json!({"limit": limit}))
            .retry_after(RETRY_AFTER_SECONDS)
    };
    match error {
        SubscribeError::TooManyFromAddress { limit } | SubscribeError::TooMany { limit } => {
            limited(limit)
        }
        SubscribeError::Closing => {
            Face::new(StatusCode::SERVICE_UNAVAILABLE, "stopping").retry_after(RETRY_AFTER_SECONDS)
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.face().status
    }

    fn error_response(&self) -> HttpResponse {
        let Face { status, name, details, retry_after_seconds } = self.face();
        let text = self.to_string();
        let mut answer = HttpResponseBuilder::new(status);
        if let Some(seconds) = retry_after_seconds {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Self::NoMethod { allowed } = self {
            answer.insert_header((ALLOW, allowed.as_str()));
        }
        if let Self::UnknownCoding(_) = self {
            answer.insert_header((ACCEPT_ENCODING, "gzip"));
        }
        if status == StatusCode::UNAUTHORIZED {
            answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        answer.json(json!({"detail": text, "error": name, "message": text, "details": details}))
    }
}
