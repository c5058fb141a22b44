//! Logging in with an API key, for browsers.

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::ExposeSecret;
use url::form_urlencoded;

use super::html;
use crate::domain::session::{LASTS_SECONDS, issue};
use crate::domain::timestamp::now;
use crate::http::Gateway;
use crate::http::error::ApiError;
use crate::http::guard::{SESSION_COOKIE, known_key};
use crate::http::query::{Query, read_body};
use crate::ui::login_page::LoginPage;

/// The largest form that is taken.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// `GET /login`
pub(super) async fn page(request: HttpRequest, gateway: Data<Gateway>) -> HttpResponse {
    if gateway.config.server.api_keys.is_empty() {
        return see("/");
    }
    let next = Query::of(&request).text("next").unwrap_or_default().to_owned();
    door(&gateway, StatusCode::OK, &next)
}

/// `POST /login`
pub(super) async fn log_in(
    request: HttpRequest,
    payload: Payload,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let body = read_body(&request, payload, FORM_BYTES_MAX).await?;
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let next = own_path(field("next"));
    let Some(key) = known_key(&gateway.config.server.api_keys, field("key")) else {
        log::warn!("somebody tried to log in with a key that is none");
        return Ok(door(&gateway, StatusCode::UNAUTHORIZED, next));
    };
    let session = issue(key.expose_secret(), now());
    let secure = if request.connection_info().scheme() == "https" { "; Secure" } else { "" };
    let cookie = format!(
        "{SESSION_COOKIE}={session}; Path=/; Max-Age={LASTS_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    );
    let mut answer = see(next);
    answer.headers_mut().insert(SET_COOKIE, cookie.parse().expect("a session is plain ASCII"));
    Ok(answer)
}

/// `POST /logout`
pub(super) async fn log_out() -> HttpResponse {
    let gone = format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    let mut answer = see("/login");
    answer.headers_mut().insert(SET_COOKIE, gone.parse().expect("it is plain ASCII"));
    answer
}

/// Where somebody is sent who wants to see `path` and has no key.
pub(in crate::http) fn login_redirect(path: &str) -> HttpResponse {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if path != "/" {
        query.append_pair("next", path);
    }
    match query.finish() {
        query if query.is_empty() => see("/login"),
        query => see(&format!("/login?{query}")),
    }
}

fn door(gateway: &Gateway, status: StatusCode, next: &str) -> HttpResponse {
    let page = LoginPage {
        assets: gateway.assets.folder().to_owned(),
        next: own_path(next).to_owned(),
        is_refused: status == StatusCode::UNAUTHORIZED,
    };
    html(status, &page)
}

fn see(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

/// A path of this site, and `/` instead of anything that might lead elsewhere.
fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_door_nobody_is_sent_elsewhere() {
        assert_eq!(own_path("/jobs/a?x=1"), "/jobs/a?x=1");
        for elsewhere in
            ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nb"]
        {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere}");
        }
    }
}
