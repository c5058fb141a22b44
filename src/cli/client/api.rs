//! Calls to the daemon: one place for the key, the time limits and what goes wrong.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, RETRY_AFTER, USER_AGENT};
use actix_web::http::{Method, StatusCode};
use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::{Client, ClientRequest};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::ClientError;
use super::settings::Settings;
use super::words::clean;

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the daemon may take to answer. It may have to ask a provider first, more than once.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// The largest answer that is read: a log can be large.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What the daemon answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// What it says.
    pub(super) json: Value,
    /// The same as it came.
    pub(super) text: String,
}

/// The daemon, as the client sees it.
pub(super) struct Api {
    client: Client,
    settings: Settings,
}

impl Api {
    pub(super) fn new(settings: Settings) -> Self {
        let client = Client::builder()
            .connector(awc::Connector::new().timeout(CONNECT_WITHIN))
            // Every call has its own limit, and a stream has none.
            .disable_timeout()
            // A redirect could carry the key to another host.
            .disable_redirects()
            .add_default_header((USER_AGENT, concat!("jobsyncd/", env!("CARGO_PKG_VERSION"))))
            .finish();
        Self { client, settings }
    }

    /// The server as messages name it.
    pub(super) fn server(&self) -> &str {
        self.settings.server.as_str().trim_end_matches('/')
    }

    /// The address of a route: its segments, which may hold any characters, and its parameters.
    pub(super) fn url(&self, segments: &[&str], parameters: &[(&str, String)]) -> Url {
        let mut url = self.settings.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("api").extend(segments);
        }
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url
    }

    /// A request with the key.
    pub(super) fn request(&self, method: Method, url: &Url) -> ClientRequest {
        let request = self.client.request(method, url.as_str());
        match &self.settings.api_key {
            Some(key) => request.insert_header(("x-api-key", key.expose_secret())),
            None => request,
        }
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Answer, ClientError> {
        self.call(Method::GET, url, None, ANSWER_WITHIN).await
    }

    pub(super) async fn post(
        &self,
        url: &Url,
        body: Option<&Value>,
    ) -> Result<Answer, ClientError> {
        self.call(Method::POST, url, body, ANSWER_WITHIN).await
    }

    /// Any call, with the time that all of it may take.
    pub(super) async fn call(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Answer, ClientError> {
        let request = self.request(method, url);
        let exchange = async {
            let sent = match body {
                Some(body) => request.send_json(body).await,
                None => request.send().await,
            };
            let mut answer = sent.map_err(|error| self.unsent(&error))?;
            let text = answer.body().limit(ANSWER_BYTES_MAX).await;
            let text = text.map_err(|error| self.cut(&error))?;
            self.judge(answer.status(), answer.headers(), &text)
        };
        let server = || self.server().to_owned();
        tokio::time::timeout(patience, exchange)
            .await
            .unwrap_or_else(|_| Err(ClientError::NoAnswer { server: server(), patience }))
    }

    /// What an answer says.
    pub(super) fn judge(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        text: &[u8],
    ) -> Result<Answer, ClientError> {
        let json = serde_json::from_slice::<Value>(text);
        if status.is_success() {
            let json = json.map_err(|error| self.garbled(error.to_string()))?;
            return Ok(Answer { json, text: String::from_utf8_lossy(text).into_owned() });
        }
        let json = json.unwrap_or_default();
        let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        Err(self.refused(status, &json, retry_after))
    }

    fn refused(
        &self,
        status: StatusCode,
        json: &Value,
        retry_after: Option<Duration>,
    ) -> ClientError {
        let detail = match json["detail"].as_str() {
            Some(detail) => clean(detail),
            // Somebody else answered, a proxy perhaps.
            None => format!("{} answered {status}", self.server()),
        };
        let hint = (status == StatusCode::UNAUTHORIZED).then(|| {
            if self.settings.api_key.is_some() {
                " (the key that was given is not one of the daemon's)"
            } else {
                " (set JOBSYNCD_API_KEY, or use --api-key-file)"
            }
        });
        let name = json["error"].as_str().unwrap_or_default().to_owned();
        ClientError::Refused { status: status.as_u16(), name, detail, hint, retry_after }
    }

    /// An answer that is not the daemon's.
    pub(super) fn garbled(&self, problem: impl Into<String>) -> ClientError {
        ClientError::Garbled { server: self.server().to_owned(), problem: problem.into() }
    }

    /// What the daemon said went wrong in an answer that is none of an error.
    pub(super) fn told(&self, detail: &str) -> ClientError {
        ClientError::Refused {
            status: StatusCode::OK.as_u16(),
            name: String::new(),
            detail: detail.to_owned(),
            hint: None,
            retry_after: None,
        }
    }

    /// A request that met no answer.
    pub(super) fn unsent(&self, error: &SendRequestError) -> ClientError {
        let cause = match error {
            SendRequestError::Connect(ConnectError::Io(error)) => error.to_string(),
            SendRequestError::Connect(error) => error.to_string(),
            error => error.to_string(),
        };
        self.unreachable(&cause)
    }

    /// An answer that broke off.
    pub(super) fn cut(&self, error: &PayloadError) -> ClientError {
        self.unreachable(&format!("the answer broke off: {error}"))
    }

    /// A stream that ended.
    pub(super) fn ended(&self) -> ClientError {
        self.unreachable("the stream has ended")
    }

    fn unreachable(&self, cause: &str) -> ClientError {
        ClientError::Unreachable { server: self.server().to_owned(), cause: clean(cause) }
    }
}
