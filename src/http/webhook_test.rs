//! Whether webhooks find their way here: a test delivery that this daemon knows again when it comes.
//!
//! It is signed with a key of this process, which nobody else has, and its answer proves that it was read here.
//! So an echo, a login page and another daemon are told from this one.

use std::time::{Duration, Instant};

use actix_tls::connect::Resolver;
use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Payload};
use awc::Client;
use awc::error::{ConnectError, SendRequestError};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use url::Url;
use uuid::Uuid;

use super::Gateway;
use super::error::ApiError;
use super::query::require_json;
use crate::actors::webhook_ingestor::IngestDelivery;
use crate::config::Network;
use crate::domain::signature::SigningKey;
use crate::domain::timestamp::now;
use crate::domain::webhook_urls;
use crate::outgoing;
use crate::provider::replicate;

/// How long a test waits for an answer where nothing was asked, in seconds.
const TIMEOUT_SECONDS: f64 = 30.0;
/// The longest that a test may wait, in seconds.
const TIMEOUT_SECONDS_MAX: f64 = 120.0;
/// The most of an answer that is read, in bytes: ours has far less.
const ANSWER_BYTES_MAX: usize = 4_096;
/// How the id of a test begins.
const ID_PREFIX: &str = "jobsyncd-test-";

/// Knows the test deliveries of this process.
#[derive(Debug)]
pub(super) struct TestDeliveries(SigningKey);

impl TestDeliveries {
    /// With a key that nobody else has.
    pub(super) fn new() -> Self {
        let secret = BASE64_STANDARD.encode(rand::random::<[u8; 32]>());
        Self(SigningKey::from_secret(&secret).expect("base64 of 32 bytes is a secret"))
    }

    /// What only this process answers to a test.
    fn proof(&self, id: &str) -> String {
        self.0.sign(id, "proof", b"")
    }

    /// The answer to a delivery at the route of `provider` where it is a test of this process.
    pub(super) fn recognise(&self, provider: &str, delivery: &IngestDelivery) -> Option<Value> {
        let id = delivery.id.as_deref()?;
        let (nonce, mark) = id.strip_prefix(ID_PREFIX)?.split_once('.')?;
        if !is_equal(mark, &self.0.sign(nonce, "id", b"")) {
            return None;
        }
        let timestamp = delivery.timestamp.as_deref().unwrap_or_default();
        let expected = format!("v1,{}", self.0.sign(id, timestamp, &delivery.body));
        let is_intact = is_equal(delivery.signature.as_deref().unwrap_or_default(), &expected);
        Some(json!({
            "status": "test",
            "provider": provider,
            "is_intact": is_intact,
            "proof": self.proof(id),
        }))
    }

    fn new_id(&self) -> String {
        let nonce = Uuid::now_v7().to_string();
        let mark = self.0.sign(&nonce, "id", b"");
        format!("{ID_PREFIX}{nonce}.{mark}")
    }
}

fn is_equal(said: &str, expected: &str) -> bool {
    said.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// What is tested.
#[derive(Debug, Deserialize)]
pub(super) struct Test {
    #[serde(default)]
    webhook_url: String,
    provider: Option<String>,
    timeout: Option<f64>,
}

/// The client that tests go out by: one a worker thread.
pub(super) fn client(network: &Network) -> Client {
    outgoing::client(network, Resolver::default()).disable_timeout().finish()
}

/// `POST /api/webhooks/test`
///
/// Sends a test delivery from this machine to where a provider would send its webhooks. Only what comes in at
/// the route of that provider, unchanged, is a success.
pub(super) async fn test(
    request: HttpRequest,
    payload: Payload,
    client: Data<Client>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let Test { webhook_url, provider, timeout } = require_json(&request, payload).await?;
    let bad =
        |field: &str, problem: String| ApiError::BadValue { field: field.to_owned(), problem };
    let url = Url::parse(&webhook_url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| bad("webhook_url", "a http or https URL is needed".to_owned()))?;
    let seconds = timeout.unwrap_or(TIMEOUT_SECONDS);
    if !(seconds > 0.0 && seconds <= TIMEOUT_SECONDS_MAX) {
        let problem = format!("a number above 0 and up to {TIMEOUT_SECONDS_MAX} is needed");
        return Err(bad("timeout", problem));
    }
    let provider = gateway.provider(provider.as_deref().unwrap_or(replicate::NAME))?.setup.name;
    // What the provider would be told; a path that is none of ours is tried as it is.
    let url = webhook_urls::routed(&url, provider).unwrap_or(url);
    let asked = Instant::now();
    let sent = send(&client, &gateway.test_deliveries, &url, provider);
    let reached = match tokio::time::timeout(Duration::from_secs_f64(seconds), sent).await {
        Ok(reached) => reached,
        Err(_) => Reached::Nothing(format!("no answer within {seconds} s")),
    };
    Ok(Json(json!({
        "success": reached.error().is_none(),
        "message": reached.in_words(),
        "latency_ms": asked.elapsed().as_secs_f64() * 1e3,
        "status_code": reached.status().map(|status| status.as_u16()),
        "error": reached.error(),
        "webhook_url": url,
        "method": "direct",
    })))
}

/// What a test delivery came to.
enum Reached {
    /// Here, at this provider's route.
    ThisDaemon { provider: String, expected: &'static str, is_intact: bool, status: StatusCode },
    /// Something that is not this daemon.
    SomethingElse(StatusCode),
    /// Nothing, and why.
    Nothing(String),
}

impl Reached {
    fn in_words(&self) -> &'static str {
        match self {
            Self::ThisDaemon { .. } => "reached this daemon",
            Self::SomethingElse(_) => "reached something else",
            Self::Nothing(_) => "reached nothing",
        }
    }

    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::ThisDaemon { status, .. } | Self::SomethingElse(status) => Some(*status),
            Self::Nothing(_) => None,
        }
    }

    /// Why webhooks would not be taken.
    fn error(&self) -> Option<String> {
        match self {
            Self::ThisDaemon { provider, expected, .. } if provider != expected => {
                Some(format!("reached this daemon at the route of {provider}, not of {expected}"))
            }
            Self::ThisDaemon { is_intact: false, .. } => Some(
                "reached this daemon with other bytes than were sent, so that no signature can be right: what \
                 stands between must not change bodies"
                    .to_owned(),
            ),
            Self::ThisDaemon { .. } => None,
            Self::SomethingElse(status) => Some(format!(
                "reached something else, which answered {status}: the URL leads to another program, or to a path \
                 that is no route here"
            )),
            Self::Nothing(why) => Some(why.clone()),
        }
    }
}

async fn send(
    client: &Client,
    tests: &TestDeliveries,
    url: &Url,
    provider: &'static str,
) -> Reached {
    let id = tests.new_id();
    let timestamp = now().timestamp().to_string();
    let body = json!({"type": "webhook.test", "id": id}).to_string();
    let signature = format!("v1,{}", tests.0.sign(&id, &timestamp, body.as_bytes()));
    let sent = client
        .post(url.as_str())
        .insert_header(("content-type", "application/json"))
        .insert_header(("webhook-id", id.as_str()))
        .insert_header(("webhook-timestamp", timestamp))
        .insert_header(("webhook-signature", signature))
        .send_body(body);
    let mut answer = match sent.await {
        Ok(answer) => answer,
        Err(SendRequestError::Connect(ConnectError::Resolver(_))) => {
            return Reached::Nothing("the name of its host is not known".to_owned());
        }
        Err(error) => return Reached::Nothing(error.to_string()),
    };
    let status = answer.status();
    let body = answer.body().limit(ANSWER_BYTES_MAX).await;
    let said: Value =
        body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let proof = said["proof"].as_str().unwrap_or_default();
    if !is_equal(proof, &tests.proof(&id)) {
        return Reached::SomethingElse(status);
    }
    Reached::ThisDaemon {
        provider: said["provider"].as_str().unwrap_or_default().to_owned(),
        expected: provider,
        is_intact: said["is_intact"] == true,
        status,
    }
}
