//! The dashboard's pages: each handler asks the actors and fills a template of `ui/`.
//!
//! A page is whole without a script. `/updates/…` answers the parts of it that change, which htmx puts in
//! their places; what is to be done goes through the API like everybody else's.

mod activity;
mod assets;
mod health;
mod job;
mod jobs;
mod notices;
mod queue;
mod session;
mod settings;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, ContentType, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;

pub(super) use self::session::login_redirect;
use super::error::ApiError;
use super::{Gateway, at};
use crate::actors::job_reader::{GetLogBounds, Read};
use crate::domain::event::Seq;
use crate::ui::assets::ROOT;
use crate::ui::frame::{Frame, View};
use crate::ui::problem_page::ProblemPage;

/// Nothing but what the daemon itself serves, and no code or style within a page. Only htmx may turn text
/// into elements (`trusted-types`), of the answers that it gets from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types htmx";

/// Paths of pages, which send somebody without a key to the door instead of answering 401.
pub(super) fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/queue" | "/activity" | "/system" | "/settings" | "/logout")
        || path.strip_prefix("/jobs/").is_some_and(|id| !id.is_empty())
}

/// Paths that show nothing of any job: what the door itself is made of.
pub(super) fn is_open(path: &str) -> bool {
    path == "/login" || path.strip_prefix(ROOT).is_some_and(|rest| rest.starts_with('/'))
}

/// Every route of the dashboard.
pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .service(at("/", "GET", web::get().to(jobs::page)))
        .service(at("/jobs/{id}", "GET", web::get().to(job::page)))
        .service(at("/queue", "GET", web::get().to(queue::page)))
        .service(at("/activity", "GET", web::get().to(activity::page)))
        .service(at("/system", "GET", web::get().to(health::page)))
        .service(at("/settings", "GET", web::get().to(settings::page)))
        .service(at("/updates/jobs", "GET", web::get().to(jobs::update)))
        .service(at("/updates/jobs/{id}", "GET", web::get().to(job::update)))
        .service(at("/updates/queue", "GET", web::get().to(queue::update)))
        .service(at("/updates/system", "GET", web::get().to(health::update)))
        .service(
            at("/login", "GET, POST", web::get().to(session::page))
                .route(web::post().to(session::log_in)),
        )
        .service(at("/logout", "POST", web::post().to(session::log_out)))
        .service(at("/assets/{digest}/{path:.*}", "GET", web::get().to(assets::get)));
}

/// A page as it is sent.
fn html(status: StatusCode, template: &impl Template) -> HttpResponse {
    let body = template.render().expect("text can always be written to memory");
    HttpResponse::build(status)
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        // Without any referrer a browser would call its own forms' origin `null`.
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .body(body)
}

/// What every page has around its content, as it is at `position` of the log of events.
async fn frame(gateway: &Gateway, view: View, position: Option<Seq>) -> Frame {
    Frame {
        assets: gateway.assets.folder().to_owned(),
        view,
        position,
        notices: notices::all(gateway).await,
        has_login: !gateway.config.server.api_keys.is_empty(),
    }
}

/// The position in the log of events, read before anything else that a page shows: what comes in between is
/// told again, and nothing is missed.
async fn position(gateway: &Gateway) -> Result<Seq, ApiError> {
    Ok(gateway.asker.ask(&gateway.reader, Read(GetLogBounds)).await?.newest)
}

/// The page, or one that says why there is none.
async fn or_problem(
    gateway: &Gateway,
    view: View,
    page: Result<HttpResponse, ApiError>,
) -> HttpResponse {
    let error = match page {
        Ok(page) => return page,
        Err(error) => error,
    };
    let status = error.status_code();
    let title = match status {
        StatusCode::NOT_FOUND => "There is no such page",
        status if status.is_client_error() => "That was not understood",
        _ => "This cannot be shown now",
    };
    let frame = frame(gateway, view, None).await;
    html(status, &ProblemPage { frame, title: title.to_owned(), text: error.to_string() })
}
