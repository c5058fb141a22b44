//! Calls to a provider over HTTP, with everything that keeps them polite and safe: the token, time
//! limits, the rate budget, retries with back-off, and the circuit breaker.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use actix_tls::connect::Resolver;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use awc::Client;
use awc::error::SendRequestError;
use backon::{BackoffBuilder, ExponentialBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::token::SharedToken;
use super::{ProviderError, json};
use crate::config::Network;
use crate::domain::breaker::{Breaker, BreakerChange, BreakerState};
use crate::domain::rate_budget::RateBudget;
use crate::domain::timestamp::{self, Timestamp, from_micros};
use crate::outgoing;

/// The largest answer that is read. A prediction carries its whole log.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How often a call that may be repeated is tried again.
const RETRIES_MAX: usize = 2;
/// The longest that a call waits for the provider's `Retry-After`; beyond it the caller is told.
const WAIT_SECONDS_MAX: u64 = 3;
/// How much of the provider's words is passed on, in characters.
const DETAIL_CHARS_MAX: usize = 500;

/// How the connection to a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerHealth {
    /// Whether the provider is left alone because it failed again and again.
    pub out_of_order: bool,
    /// Whether calls go through.
    pub breaker: BreakerState,
    /// How many calls were answered since the start.
    pub successes: u64,
    /// When it answered last.
    pub last_success_at: Option<Timestamp>,
    /// When it failed last.
    pub last_failure_at: Option<Timestamp>,
    /// What it said when it failed last.
    pub last_error: Option<String>,
    /// How many calls were made since the start.
    pub calls: u64,
    /// How many more we may make before the rate limit resets.
    pub calls_left: u64,
    /// Whether there is the token that the calls need.
    pub has_token: bool,
    /// What the provider said when it last refused the token, until it takes it again.
    pub token_refused: Option<String>,
}

/// Who wants to know when the provider goes out of order (with its words) or comes back (None).
pub type HealthListener = Box<dyn Fn(Option<String>)>;

/// What a caller must know.
pub struct CallerOptions {
    /// Where the API is, without a slash at the end.
    pub base_url: String,
    /// The token; None where none is configured.
    pub token: Option<SharedToken>,
    /// What to say where there is no token; None where none is needed.
    pub missing_token: Option<ProviderError>,
    /// How long one call may take.
    pub timeout: Duration,
    /// The share of the provider's rate limit that is ours.
    pub rate_limit_share: f64,
    /// Headers of every call.
    pub headers: &'static [(&'static str, &'static str)],
    /// How the provider is reached.
    pub network: Network,
    /// Told when the provider goes out of order or comes back.
    pub health_listener: HealthListener,
}

/// A clock that only ever goes on, for what is measured and not told. The time of day can be set back,
/// and a provider would be left alone until that time came again.
struct SteadyClock(Instant);

impl SteadyClock {
    fn now(&self) -> Timestamp {
        from_micros(i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

/// Makes the calls to one provider.
pub struct Caller {
    client: Client,
    clock: SteadyClock,
    options: CallerOptions,
    budget: RefCell<RateBudget>,
    breaker: RefCell<Breaker>,
    last_error: RefCell<Option<String>>,
    token_refused: RefCell<Option<String>>,
    successes: Cell<u64>,
    last_success_at: Cell<Option<Timestamp>>,
    last_failure_at: Cell<Option<Timestamp>>,
    calls: Cell<u64>,
}

/// Whether a call counts against our share of the rate limit, and whether it may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Reading: counted, and repeated when it fails.
    Routine,
    /// What a user asked for: never held up by our own share.
    Urgent,
}

impl Caller {
    /// A caller in the arbiter that will use it: its connections cannot move between threads.
    pub fn new(options: CallerOptions) -> Self {
        let client = outgoing::client(&options.network, Resolver::default());
        let client = client.timeout(options.timeout).finish();
        let clock = SteadyClock(Instant::now());
        Self {
            client,
            budget: RefCell::new(RateBudget::new(options.rate_limit_share, clock.now())),
            clock,
            breaker: RefCell::default(),
            last_error: RefCell::default(),
            token_refused: RefCell::default(),
            successes: Cell::default(),
            last_success_at: Cell::default(),
            last_failure_at: Cell::default(),
            calls: Cell::new(0),
            options,
        }
    }

    /// Calls `path` (with its query) below the base URL and reads the answer as `T`.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        urgency: Urgency,
    ) -> Result<T, ProviderError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_times(RETRIES_MAX)
            .with_jitter()
            .build();
        loop {
            let error = match self.attempt(&method, path, None, urgency).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match &error {
                ProviderError::Throttled { retry_after_seconds, .. }
                    if *retry_after_seconds <= WAIT_SECONDS_MAX =>
                {
                    pauses.next().map(|_| Duration::from_secs(*retry_after_seconds))
                }
                // A garbled answer is often one that was cut off on its way.
                ProviderError::Failing { .. }
                | ProviderError::Unreachable(_)
                | ProviderError::CutOff(_)
                | ProviderError::Garbled(_) => pauses.next(),
                _ => None,
            };
            let Some(pause) = pause else { return Err(error) };
            log::debug!("{method} {path} failed and is tried again in {pause:?}: {error}");
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends `body` to `path` below the base URL, once, and reads the answer as `T`: it may have been done
    /// although the answer says otherwise, or none comes.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub async fn send_once<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, ProviderError> {
        self.attempt(&method, path, Some(body), Urgency::Urgent).await
    }

    /// How the connection is.
    pub fn health(&self) -> CallerHealth {
        CallerHealth {
            out_of_order: self.breaker.borrow().is_open(),
            breaker: self.breaker.borrow().state(self.clock.now()),
            successes: self.successes.get(),
            last_success_at: self.last_success_at.get(),
            last_failure_at: self.last_failure_at.get(),
            last_error: self.last_error.borrow().clone(),
            calls: self.calls.get(),
            calls_left: self.budget.borrow().left(),
            has_token: self.token().is_some() || self.options.missing_token.is_none(),
            token_refused: self.token_refused.borrow().clone(),
        }
    }

    fn token(&self) -> Option<SecretString> {
        self.options.token.as_ref()?.get()
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        urgency: Urgency,
    ) -> Result<T, ProviderError> {
        let missing_token = &self.options.missing_token;
        if let (None, Some(missing)) = (self.token(), missing_token) {
            return Err(missing.clone());
        }
        self.admit(urgency)?;
        self.calls.set(self.calls.get() + 1);
        let seconds = self.options.timeout.as_secs();
        let exchange = self.exchange(method, path, body);
        let outcome = match tokio::time::timeout(self.options.timeout, exchange).await {
            Ok(Ok((status, headers, body))) => self.read(status, &headers, &body),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ProviderError::Timeout { seconds }),
        };
        self.note(outcome.as_ref().err());
        outcome
    }

    /// Whether a call may be made now.
    fn admit(&self, urgency: Urgency) -> Result<(), ProviderError> {
        let now = self.clock.now();
        self.breaker.borrow_mut().admit(now).map_err(|wait| ProviderError::OutOfOrder {
            retry_after_seconds: whole_seconds(wait),
            last_error: self.last_error.borrow().clone().unwrap_or_default(),
        })?;
        match (self.budget.borrow_mut().take(now), urgency) {
            (Err(wait), Urgency::Routine) => {
                Err(ProviderError::BudgetSpent { retry_after_seconds: whole_seconds(wait) })
            }
            (Ok(()), _) | (Err(_), Urgency::Urgent) => Ok(()),
        }
    }

    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), ProviderError> {
        let words = |error: &dyn std::fmt::Display| self.redact(&error.to_string());
        let mut request =
            self.client.request(method.clone(), format!("{}{path}", self.options.base_url));
        if let Some(token) = self.token() {
            let bearer = format!("Bearer {}", token.expose_secret());
            request = request.insert_header((AUTHORIZATION, bearer));
        }
        for header in self.options.headers {
            request = request.insert_header(*header);
        }
        let sent = match body {
            Some(body) => request.send_json(body).await,
            None => request.send().await,
        };
        let mut answer = sent.map_err(|error| match error {
            SendRequestError::Timeout => {
                ProviderError::Timeout { seconds: self.options.timeout.as_secs() }
            }
            // Before there is a connection nothing is sent.
            SendRequestError::Connect(_) | SendRequestError::Url(_) => {
                ProviderError::Unreachable(words(&error))
            }
            error => ProviderError::CutOff(words(&error)),
        })?;
        let body = answer.body().limit(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| ProviderError::CutOff(words(&error)))?;
        Ok((answer.status(), answer.headers().clone(), body))
    }

    /// Reads an answer, and what its headers say of the rate limit.
    fn read<T: DeserializeOwned>(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<T, ProviderError> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        if let (Some(remaining), Some(reset)) =
            (number("ratelimit-remaining"), number("ratelimit-reset"))
        {
            self.budget.borrow_mut().learn(remaining, reset, self.clock.now());
        }
        if status.is_success() {
            return json::read(body)
                // What the parser says may repeat a part of the answer.
                .map_err(|error| self.redact(&format!("{} bytes, {error}", body.len())))
                .map_err(ProviderError::Garbled);
        }
        let problem = Problem::read(body);
        let detail = self.redact(&problem.words(status));
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS => {
                let asked = number(RETRY_AFTER.as_str()).or(problem.retry_after);
                let retry_after_seconds = asked.or(number("ratelimit-reset")).unwrap_or(30);
                self.budget.borrow_mut().block(retry_after_seconds, self.clock.now());
                ProviderError::Throttled { retry_after_seconds, detail }
            }
            // Without words of the provider's own, a proxy or a wrong address may have answered.
            StatusCode::NOT_FOUND if problem.says_something() => ProviderError::NotFound(detail),
            status if status.is_server_error() => {
                ProviderError::Failing { status: status.as_u16(), detail }
            }
            status => ProviderError::Refused { status: status.as_u16(), detail },
        })
    }

    /// Tells the breaker how a call went, and the listener what the breaker makes of it.
    fn note(&self, error: Option<&ProviderError>) {
        match error {
            None => *self.token_refused.borrow_mut() = None,
            Some(ProviderError::Refused { status: 401, detail }) => {
                *self.token_refused.borrow_mut() = Some(detail.clone());
            }
            Some(_) => {}
        }
        let outage = error.filter(|error| error.is_outage());
        let change = match outage {
            Some(error) => {
                *self.last_error.borrow_mut() = Some(error.to_string());
                self.last_failure_at.set(Some(timestamp::now()));
                self.breaker.borrow_mut().failed(self.clock.now())
            }
            None => {
                self.successes.set(self.successes.get() + 1);
                self.last_success_at.set(Some(timestamp::now()));
                self.breaker.borrow_mut().succeeded()
            }
        };
        match change {
            Some(BreakerChange::Opened) => {
                (self.options.health_listener)(Some(
                    outage.map(ToString::to_string).unwrap_or_default(),
                ));
            }
            Some(BreakerChange::Closed) => (self.options.health_listener)(None),
            None => {}
        }
    }

    /// What may be shown of a text that the provider, or a library on the way to it, has written.
    fn redact(&self, text: &str) -> String {
        let shown = match self.token() {
            Some(token) => text.replace(token.expose_secret(), "[token]"),
            None => text.to_owned(),
        };
        // Cut last: a token that is cut in two would not be found.
        shown.chars().take(DETAIL_CHARS_MAX).collect()
    }
}

/// An error as providers write it: `application/problem+json`, or something like it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    retry_after: Option<u64>,
}

impl Problem {
    fn read(body: &[u8]) -> Self {
        json::read(body).unwrap_or_default()
    }

    fn says_something(&self) -> bool {
        self.detail.is_some() || self.title.is_some()
    }

    fn words(&self, status: StatusCode) -> String {
        let said = self.detail.as_ref().or(self.title.as_ref());
        said.cloned().unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason").to_owned())
    }
}

/// Rounded up: who comes back too early is only refused again.
fn whole_seconds(wait: chrono::Duration) -> u64 {
    u64::try_from((wait.num_milliseconds() + 999) / 1_000).unwrap_or(0).max(1)
}
