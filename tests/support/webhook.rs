//! A sender of webhooks, as strict as the Standard Webhooks scheme.

use actix_web::http::Method;
use jobsyncd::domain::signature::SigningKey;
use jobsyncd::domain::timestamp::now;

use super::daemon::{Answer, TestDaemon};

/// A secret as a provider gives it out.
pub const SECRET: &str = "whsec_c29tZWJvZHktZWxzZXMtd2ViaG9vay1zZWNyZXQ=";

/// Where webhooks go.
pub const ROUTE: &str = "/api/webhooks/replicate";

/// The headers of a webhook, by name.
pub type Headers = Vec<(&'static str, String)>;

/// Who has the secret.
pub struct Signer(SigningKey);

impl Signer {
    pub fn new(secret: &str) -> Self {
        Self(SigningKey::from_secret(secret).expect("a secret"))
    }

    /// The headers of a message that is signed now.
    pub fn headers(&self, id: &str, body: &[u8]) -> Headers {
        self.headers_at(id, &now().timestamp().to_string(), body)
    }

    /// The headers of a message that is signed at any time.
    pub fn headers_at(&self, id: &str, timestamp: &str, body: &[u8]) -> Headers {
        let signature = format!("v1,{}", self.0.sign(id, timestamp, body));
        vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp.to_owned()),
            ("webhook-signature", signature),
        ]
    }

    /// Delivers a message as the provider does.
    pub async fn deliver(&self, daemon: &TestDaemon, id: &str, body: impl ToString) -> Answer {
        let body = body.to_string().into_bytes();
        let headers = self.headers(id, &body);
        deliver(daemon, ROUTE, &headers, body).await
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new(SECRET)
    }
}

/// Delivers any bytes with any headers.
pub async fn deliver(
    daemon: &TestDaemon,
    route: &str,
    headers: &[(&'static str, String)],
    body: impl Into<Vec<u8>>,
) -> Answer {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
    daemon.request(Method::POST, route, &all, Some(body.into())).await
}
