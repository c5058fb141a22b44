//! Who may come in: credentials, and protection from other sites' pages.
//!
//! Without a key the daemon listens on a loopback address only, but a page in the user's browser
//! reaches that too: by its own requests, which carry its Origin, or by a name that it lets resolve
//! to the loopback address, which then stands in Host. Both are refused. Webhooks carry their own
//! signature, come under any name, and need no key; events of a trainer may come with one instead.

use std::net::IpAddr;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Host;

use super::client_address::asked_hosts;
use super::error::ApiError;
use super::{Gateway, dashboard};
use crate::config::Server;
use crate::domain::session;
use crate::domain::timestamp::now;
use crate::domain::web_origin::{Authority, WebOrigin};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Lets a request in, or answers why not.
pub(super) async fn admit(
    gateway: Data<Gateway>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    let server = &gateway.config.server;
    let site = allowed_site(server, &request);
    // A refusal is an answer like any other, and not an error, which would go past the layers that
    // give every answer its headers.
    let mut answer = if let Err(refusal) = check_origin(server, &request) {
        request.into_response(refusal.error_response()).map_into_right_body()
    } else if site.is_some() && is_preflight(&request) {
        request.into_response(preflight_answer()).map_into_right_body()
    } else if let Err(refusal) = check_door(server, &request) {
        let path = request.match_info().as_str();
        let is_at_door = dashboard::is_page(path) && matches!(refusal, ApiError::Unauthorized);
        let answer = if is_at_door {
            let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
            // What was to be done is not done by coming back to it.
            dashboard::login_redirect(if request.method() == Method::GET { wanted } else { "/" })
        } else {
            refusal.error_response()
        };
        request.into_response(answer).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    if let Some(site) = site {
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, site);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, header::RETRY_AFTER.into());
        headers.append(VARY, ORIGIN.into());
    }
    Ok(answer)
}

/// A header as text; one that is no text is no value of anything.
fn text(request: &ServiceRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

/// The other site whose page asks, if that is allowed. Its browser shows it an answer only where
/// the answer says so.
fn allowed_site(server: &Server, request: &ServiceRequest) -> Option<HeaderValue> {
    let origin = text(request, ORIGIN)?;
    is_allowed(server, origin).then(|| HeaderValue::from_str(origin).ok())?
}

/// Whether a browser only asks what it may ask. It sends no key with that.
fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight_answer() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, DELETE"))
        .insert_header((
            ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, last-event-id, x-api-key",
        ))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

fn check_origin(server: &Server, request: &ServiceRequest) -> Result<(), ApiError> {
    match text(request, ORIGIN) {
        Some(origin) if !origin_is_ours(server, origin, request) => {
            Err(ApiError::ForeignOrigin(origin.to_owned()))
        }
        _ => Ok(()),
    }
}

fn check_door(server: &Server, request: &ServiceRequest) -> Result<(), ApiError> {
    let host = text(request, HOST).unwrap_or_default();
    // The path by which the route is found: `/te%73t` leads to the same as `/test`.
    match door_of(request.match_info().as_str()) {
        Door::Webhook | Door::Open => Ok(()),
        Door::Api if server.api_keys.is_empty() => {
            if host_is_ours(server, host) {
                Ok(())
            } else {
                Err(ApiError::ForeignHost(host.to_owned()))
            }
        }
        Door::Api => {
            if has_key(server, request.headers()) || session_holds(server, request) {
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
    /// Nothing: whoever supervises the daemon has no key, and learns nothing but that it lives; and whoever
    /// stands before the door must see it.
    Open,
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
        "/health/live" | "/health/ready" => Door::Open,
        "/api/cloud/health/live" | "/api/cloud/health/ready" => Door::Open,
        path if dashboard::is_open(path) => Door::Open,
        _ => Door::Api,
    }
}

/// Whether one of the API keys came with a request.
pub(super) fn has_key(server: &Server, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key);
    let given = text(API_KEY).or(bearer);
    given.is_some_and(|given| known_key(&server.api_keys, given).is_some())
}

/// The key that was given, compared with every one in a time that says nothing about any of them.
pub(super) fn known_key<'a>(keys: &'a [SecretString], given: &str) -> Option<&'a SecretString> {
    let given = Sha256::digest(given);
    keys.iter().fold(None, |known, key| {
        let is_given = bool::from(Sha256::digest(key.expose_secret()).ct_eq(&given));
        if is_given { Some(key) } else { known }
    })
}

/// The cookie of somebody who has logged in.
pub(super) const SESSION_COOKIE: &str = "jobsyncd_session";

/// Whether one of the cookies is a session. Others of the host are not ours to understand: another program on
/// another port may have set any bytes, or a cookie of the same name for some other path.
fn session_holds(server: &Server, request: &ServiceRequest) -> bool {
    let headers = request.headers().get_all(COOKIE);
    let cookies = headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    let cookies =
        cookies.filter_map(|cookie| std::str::from_utf8(cookie).ok()?.trim().split_once('='));
    let mut sessions = cookies.filter(|(name, _)| *name == SESSION_COOKIE);
    sessions.any(|(_, session)| {
        let keys = server.api_keys.iter();
        keys.fold(false, |holds, key| holds | session::holds(session, key.expose_secret(), now()))
    })
}

fn host_is_ours(server: &Server, host: &str) -> bool {
    // Only an HTTP/1.0 client sends no Host, and no browser is one.
    if host.is_empty() {
        return true;
    }
    let Some(asked) = Authority::parse(host) else { return false };
    let address = match asked.host() {
        Host::Domain(name) => return name == "localhost" || allows_host(server, asked.host()),
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address),
    };
    address.is_loopback()
        || address == server.bind.ip().to_canonical()
        || allows_host(server, asked.host())
}

fn allows_host(server: &Server, host: &Host) -> bool {
    server.allowed_hosts.contains(host)
}

/// A page of the daemon's own, or of a site that was allowed. `null` is anybody's.
fn origin_is_ours(server: &Server, origin: &str, request: &ServiceRequest) -> bool {
    let Some(origin) = WebOrigin::parse(origin) else { return false };
    server.allowed_origins.contains(&origin)
        || asked_hosts(request.request(), &server.trusted_proxies)
            .iter()
            .any(|asked| origin.is_at(asked))
}

fn is_allowed(server: &Server, origin: &str) -> bool {
    WebOrigin::parse(origin).is_some_and(|origin| server.allowed_origins.contains(&origin))
}
