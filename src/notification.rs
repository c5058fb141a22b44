//! Sending of messages to where people and programs hear of them.

use std::cmp::Reverse;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use actix_tls::connect::{Resolve, Resolver};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use awc::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::LocalBoxFuture;
use secrecy::ExposeSecret;
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use crate::config::{Channel, ChannelUrl, Network, Notifications};
use crate::domain::notification::{Message, Rendered, asked_pause};
use crate::domain::private_address::is_private;
use crate::domain::timestamp::now;
use crate::outgoing::{self, innermost};

/// How long a receiver has for its answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a receiver's words is kept, in characters.
const WORDS_CHARS_MAX: usize = 200;
/// How much of an answer is read for them.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// Sends messages, in the arbiter in which it was made.
pub struct Sender {
    client: Client,
    allows_private: bool,
}

/// Why a message did not arrive, as far as is known.
#[derive(Debug, Clone, PartialEq)]
pub struct SendError {
    /// What went wrong, without anything of the channel's URL but its host.
    pub words: String,
    /// What the receiver answered, where it did.
    pub status_code: Option<u16>,
    /// Trying again would come to the same.
    pub is_lasting: bool,
    /// The receiver refuses this message; others may be taken.
    pub is_about_message: bool,
    /// For how long the receiver asks to be left alone, in seconds.
    pub asked_seconds: Option<f64>,
}

impl SendError {
    fn transient(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            status_code: None,
            is_lasting: false,
            is_about_message: false,
            asked_seconds: None,
        }
    }
}

/// A message that arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sent {
    /// What the receiver answered.
    pub status_code: u16,
    /// How long that took, in milliseconds.
    pub latency_ms: u64,
    /// For how long the receiver takes no further message, in seconds, where it says so.
    pub rest_seconds: Option<f64>,
}

/// What a receiver answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// The beginning of the body.
    words: Bytes,
}

impl Answer {
    /// All values of a header.
    fn values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).filter_map(|value| value.to_str().ok()).collect()
    }
}

impl Sender {
    /// A sender that refuses addresses of this machine and its networks, unless it is told otherwise. Through
    /// a proxy, which looks names up by itself, it refuses those that need no looking up.
    pub fn new(network: &Network, allows_private: bool) -> Self {
        let resolver = Resolver::custom(PublicResolver { allows_private });
        let client = outgoing::client(network, resolver).timeout(TIMEOUT).finish();
        Self { client, allows_private }
    }

    /// Sends a message under an identifier that stays the same when it is sent again, so that the receiver
    /// can tell.
    ///
    /// # Errors
    /// Where the receiver did not take it.
    pub async fn send(
        &self,
        channel: &Channel,
        message_id: &str,
        message: &Message,
    ) -> Result<Sent, SendError> {
        self.refuse_private(channel)?;
        let Rendered { body, content_type, headers } = channel.format.render(message);
        let mut request = self
            .client
            .post(channel.url.expose())
            .insert_header((CONTENT_TYPE, content_type))
            .insert_header(("webhook-id", message_id));
        for (name, value) in headers {
            request = request.insert_header((name, value));
        }
        if let Some(key) = &channel.signing_key {
            let timestamp = now().timestamp().to_string();
            let signature = format!("v1,{}", key.sign(message_id, &timestamp, body.as_bytes()));
            request = request
                .insert_header(("webhook-timestamp", timestamp))
                .insert_header(("webhook-signature", signature));
        }
        if let Some(credentials) = channel.url.basic_credentials() {
            request = request.insert_header((AUTHORIZATION, credentials));
        }
        let begun = Instant::now();
        let exchange = async {
            let host = channel.url.host();
            let mut answer = request.send_body(body).await.map_err(|error| {
                SendError::transient(format!("{host} cannot be reached: {}", innermost(&error)))
            })?;
            let words = answer.body().limit(ANSWER_BYTES_MAX).await.unwrap_or_default();
            Ok(Answer { status: answer.status(), headers: answer.headers().clone(), words })
        };
        let timeout = || SendError::transient(format!("no answer within {TIMEOUT:?}"));
        let answer = tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| timeout())?;
        let answer = answer?;
        let headers = |name: &str| answer.values(name);
        if answer.status.is_success() {
            return Ok(Sent {
                status_code: answer.status.as_u16(),
                latency_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                rest_seconds: asked_pause::after_success(headers, now()),
            });
        }
        let asked_seconds = asked_pause::after_refusal(headers, &answer.words, now());
        let words = channel.url.hidden_in(&String::from_utf8_lossy(&answer.words));
        Err(refused(answer.status, &words, asked_seconds))
    }

    /// A literal address is not looked up, so it is judged by itself, as is the name of this machine.
    fn refuse_private(&self, channel: &Channel) -> Result<(), SendError> {
        let literal = match channel.url.parsed_host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => {
                Some(Ipv4Addr::LOCALHOST.into())
            }
            Some(Host::Domain(_)) | None => None,
        };
        match literal.filter(|address| !self.allows_private && is_private(*address)) {
            Some(address) => Err(SendError {
                is_lasting: true,
                ..SendError::transient(private_words(&address.to_string()))
            }),
            None => Ok(()),
        }
    }
}

fn private_words(host: &str) -> String {
    format!(
        "{host} is an address of this machine or of a private network: see notifications.allow_private_addresses"
    )
}

/// What the receiver's answer means.
fn refused(status: StatusCode, words: &str, asked_seconds: Option<f64>) -> SendError {
    let words: String = words.chars().filter(|c| !c.is_control()).take(WORDS_CHARS_MAX).collect();
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    SendError {
        words: format!("the receiver answered {}{said}", status.as_u16()),
        status_code: Some(status.as_u16()),
        // Gone is what a receiver says that wants no more.
        is_lasting: status == StatusCode::GONE || status.is_redirection(),
        is_about_message: matches!(status.as_u16(), 400 | 413 | 415 | 422),
        asked_seconds,
    }
}

/// Looks names up, and answers no address that must not be reached. It is asked at every connection, so a
/// name that changes its address is judged by what it leads to.
struct PublicResolver {
    allows_private: bool,
}

impl Resolve for PublicResolver {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn Error>>> {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
            let is_allowed =
                |address: &SocketAddr| self.allows_private || !is_private(address.ip());
            let allowed: Vec<_> = found.iter().copied().filter(is_allowed).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(private_words(host).into());
            }
            Ok(allowed)
        })
    }
}

/// Only what the configuration holds of a URL is secret; whom it leads to is not.
impl ChannelUrl {
    fn expose(&self) -> &str {
        self.url.expose_secret()
    }

    /// The credentials that stood in it, as a header takes them.
    fn basic_credentials(&self) -> Option<HeaderValue> {
        let credentials = BASE64.encode(self.credentials.as_ref()?.expose_secret());
        let mut value = HeaderValue::from_str(&format!("Basic {credentials}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The words of a receiver without what of the URL they repeat: servers quote the path that they do not
    /// know, or the credentials that they refuse.
    fn hidden_in(&self, words: &str) -> String {
        let mut secrets = self.secret_parts();
        // The whole goes before its parts.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets.iter().fold(words.to_owned(), |words, secret| words.replace(secret, "…"))
    }

    /// What of the URL nobody may read. What is a letter or two of a path would hide half of every answer.
    fn secret_parts(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        if let Ok(url) = Url::parse(self.expose()) {
            let segments = url.path_segments().into_iter().flatten();
            secrets.extend(segments.filter(|part| part.len() > 8).map(str::to_owned));
            secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
            secrets.extend([url.path().to_owned(), url.query().unwrap_or_default().to_owned()]);
            secrets.retain(|secret| secret.len() > 3);
        }
        if let Some(both) = self.credentials.as_ref().map(|both| both.expose_secret()) {
            let password = both.split_once(':').map_or("", |(_, password)| password);
            secrets.extend([both.to_owned(), BASE64.encode(both), password.to_owned()]);
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }

    /// What tells this receiver from others, without saying where it is. Two channels to one place have one
    /// receiver.
    pub fn receiver(&self) -> String {
        let digest = Sha256::digest(self.expose());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Notifications {
    /// The channels by name, each with what tells its receiver from others.
    pub fn receivers(&self) -> Vec<(String, String)> {
        let of = |(name, channel): (&String, &Channel)| (name.clone(), channel.url.receiver());
        self.channels.iter().map(of).collect()
    }
}
