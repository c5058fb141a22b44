//! Who may come in: credentials, and protection from other sites' pages.
//!
//! Without a key the daemon listens on a loopback address only, but a page in the user's browser
//! reaches that too: by its own requests, which carry its Origin, or by a name that it lets resolve
//! to the loopback address, which then stands in Host. Both are refused. Webhooks carry their own
//! signature, come under any name, and need no key.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use super::Gateway;
use super::error::ApiError;
use crate::config::Server;

/// Lets a request in, or answers why not.
pub(super) async fn admit(
    gateway: Data<Gateway>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    check(&gateway.config.server, &request)?;
    next.call(request).await
}

fn check(server: &Server, request: &ServiceRequest) -> Result<(), ApiError> {
    let header =
        |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let host = header(HOST).unwrap_or_default();
    if let Some(origin) = header(ORIGIN)
        && !origin_is_ours(server, origin, host)
    {
        return Err(ApiError::ForeignOrigin(origin.to_owned()));
    }
    match door_of(request.path()) {
        Door::Webhook | Door::Probe => Ok(()),
        Door::Api if server.api_keys.is_empty() => {
            if host_is_ours(server, host) {
                Ok(())
            } else {
                Err(ApiError::ForeignHost(host.to_owned()))
            }
        }
        Door::Api => {
            let bearer = header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
            let given = header("x-api-key".try_into().expect("a header name")).or(bearer);
            if given.is_some_and(|given| key_is_known(&server.api_keys, given)) {
                Ok(())
            } else {
                Err(ApiError::Unauthorized)
            }
        }
    }
}

/// What a path is guarded by.
enum Door {
    /// A webhook's own signature.
    Webhook,
    /// Nothing: whoever supervises the daemon has no key, and learns nothing but that it lives.
    Probe,
    /// Credentials.
    Api,
}

fn door_of(path: &str) -> Door {
    let webhook = path
        .strip_prefix("/api/webhooks/")
        .or_else(|| path.strip_prefix("/api/cloud/webhook/"))
        .is_some_and(|rest| rest != "test");
    match path {
        _ if webhook => Door::Webhook,
        "/health/live" | "/health/ready" => Door::Probe,
        _ => Door::Api,
    }
}

/// Compares with every key, in a time that says nothing about any of them.
fn key_is_known(keys: &[SecretString], given: &str) -> bool {
    let given = Sha256::digest(given);
    keys.iter().fold(false, |known, key| {
        known | bool::from(Sha256::digest(key.expose_secret()).ct_eq(&given))
    })
}

/// The name in a Host header, without its port, in lower case.
fn host_name(host: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{host}/")).ok()?;
    url.host_str().map(str::to_owned)
}

fn host_is_ours(server: &Server, host: &str) -> bool {
    // Only an HTTP/1.0 client sends no Host, and no browser is one.
    if host.is_empty() {
        return true;
    }
    let Some(name) = host_name(host) else { return false };
    let bound = server.bind.ip();
    let literal = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost"
        || literal.is_ok_and(|address| address.is_loopback() || address == bound)
        || server.allowed_hosts.contains(&name)
}

/// A page of the daemon's own, or of a site that was allowed. `null` is anybody's.
fn origin_is_ours(server: &Server, origin: &str, host: &str) -> bool {
    let own = |scheme: &str| {
        origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host))
    };
    own("http://")
        || own("https://")
        || server.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
}
