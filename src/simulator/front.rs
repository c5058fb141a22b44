//! What every call to the API passes before its route: latency, counting, the token, the rate limits and
//! the scripted faults.

use std::io;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, SizedStream};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError as _};
use chrono::Utc;
use futures_util::{StreamExt as _, stream};

use super::faults::{ErrorBody, Fault, FaultKind};
use super::problem::Problem;
use super::state::Shared;
use super::throttle::Quota;

/// Creates of predictions have a limit of their own; all other calls share one.
const CREATES: [&str; 3] = [
    "POST /predictions",
    "POST /models/{owner}/{name}/predictions",
    "POST /deployments/{owner}/{name}/predictions",
];
/// How long the first half of a truncated answer gets to leave before the connection closes.
const TRUNCATION_PAUSE: Duration = Duration::from_millis(30);

/// What was decided about a call before its route sees it.
struct Admission {
    quota: Quota,
    verdict: Result<Option<Fault>, Problem>,
}

/// The socket of a connection, kept to be able to reset it.
struct Socket(std::net::TcpStream);

/// Remembers the socket of a new connection.
pub(super) fn remember_socket(connection: &dyn std::any::Any, data: &mut Extensions) {
    use std::os::fd::AsFd as _;
    let Some(stream) = connection.downcast_ref::<TcpStream>() else {
        return;
    };
    if let Ok(copy) = stream.as_fd().try_clone_to_owned() {
        data.insert(Socket(copy.into()));
    }
}

/// The middleware.
pub(super) async fn pass(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(shared) = request.app_data::<Data<Shared>>().cloned() else {
        return Ok(request.into_response(Problem::Internal.error_response()));
    };
    let latency = shared.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let Admission { quota, verdict } = admit(&shared, &request);
    let mut response = match verdict {
        Ok(None) => next.call(request).await?.map_into_boxed_body(),
        Ok(Some(fault)) => meet(fault, request, next).await?,
        Err(problem) => request.into_response(problem.error_response()),
    };
    let headers = response.headers_mut();
    let figures = [
        ("ratelimit-remaining", i64::from(quota.remaining)),
        ("ratelimit-reset", quota.reset_seconds),
    ];
    for (name, figure) in figures {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(figure));
    }
    Ok(response)
}

fn admit(shared: &Shared, request: &ServiceRequest) -> Admission {
    let method = request.method().as_str();
    let path = without_version(request.path());
    let pattern = request.match_pattern();
    let template = pattern.as_deref().map_or(path, without_version);
    let route = format!("{method} {template}");
    let mut state = shared.lock();
    let throttle =
        if CREATES.contains(&route.as_str()) { &mut state.creates } else { &mut state.others };
    let taken = throttle.take(Utc::now());
    *state.calls.entry(route).or_default() += 1;
    let (Ok(quota) | Err(quota)) = taken;
    let verdict = if !is_authenticated(shared, request) {
        Err(Problem::Unauthenticated)
    } else if taken.is_err() {
        Err(Problem::Throttled { reset_seconds: quota.reset_seconds })
    } else {
        // Last, so that a refused call uses up no fault.
        Ok(state.faults.take(method, template, path))
    };
    Admission { quota, verdict }
}

fn without_version(path: &str) -> &str {
    path.strip_prefix("/v1").unwrap_or(path)
}

fn is_authenticated(shared: &Shared, request: &ServiceRequest) -> bool {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // `Token` is the older word, which the provider still takes.
    let token =
        value.and_then(|value| value.strip_prefix("Bearer ").or(value.strip_prefix("Token ")));
    token == Some(shared.options.token.as_str())
}

/// Lets a call meet its fault, before its effect or after it.
async fn meet(
    fault: Fault,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // These spoil the right answer, which must therefore be made first.
    let needs_answer = matches!(
        fault.kind,
        FaultKind::Delay { .. } | FaultKind::TruncatedBody | FaultKind::CutJson
    );
    if let FaultKind::Delay { milliseconds } = fault.kind
        && !fault.after_effect
    {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    if !fault.after_effect && !needs_answer {
        let (request, _payload) = request.into_parts();
        let response = spoil(fault.kind, &request, None).await;
        return Ok(ServiceResponse::new(request, response));
    }
    let (request, response) = next.call(request).await?.into_parts();
    let response = spoil(fault.kind, &request, Some(response.map_into_boxed_body())).await;
    Ok(ServiceResponse::new(request, response))
}

/// The answer a fault makes, of the right one where there is one.
async fn spoil(
    kind: FaultKind,
    request: &HttpRequest,
    right: Option<HttpResponse>,
) -> HttpResponse {
    match kind {
        FaultKind::Delay { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            right.unwrap_or_else(|| Problem::Internal.error_response())
        }
        FaultKind::Throttled { retry_after_seconds } => {
            let reset_seconds = retry_after_seconds
                .map_or(30, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
            let mut response = Problem::Throttled { reset_seconds }.error_response();
            if let Some(seconds) = retry_after_seconds {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        FaultKind::ServerError { status, body } => server_error(status, body),
        FaultKind::Unauthorized => Problem::Unauthenticated.error_response(),
        FaultKind::NotFound => Problem::NotFound.error_response(),
        FaultKind::TruncatedBody => truncated(body_of(right).await),
        FaultKind::CutJson => {
            let body = body_of(right).await;
            let half = body.slice(..body.len() / 2);
            HttpResponse::Ok().content_type("application/json").body(half)
        }
        FaultKind::Garbage => HttpResponse::Ok()
            .content_type("application/json")
            .body(&b"\xff\x00{\"id\": \xc3\x28"[..]),
        FaultKind::Reset => {
            reset_on_close(request);
            truncated_at_once()
        }
        FaultKind::Hang => std::future::pending().await,
    }
}

async fn body_of(response: Option<HttpResponse>) -> Bytes {
    let Some(response) = response else {
        return Bytes::new();
    };
    actix_web::body::to_bytes(response.into_body()).await.unwrap_or_default()
}

fn server_error(status: u16, body: ErrorBody) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = status.canonical_reason().unwrap_or("Server Error");
    let mut response = HttpResponse::build(status);
    match body {
        ErrorBody::Problem => {
            let body = serde_json::json!({"title": reason, "detail": "Something went wrong.", "status": status.as_u16()});
            response.content_type("application/problem+json").body(body.to_string())
        }
        ErrorBody::Html => {
            let code = status.as_u16();
            let page = format!(
                "<html><head><title>{code} {reason}</title></head><body><center><h1>{code} {reason}</h1></center><hr><center>nginx</center></body></html>"
            );
            response.content_type("text/html").body(page)
        }
        ErrorBody::Empty => response.finish(),
    }
}

/// Announces the whole body, sends half of it and closes.
fn truncated(body: Bytes) -> HttpResponse {
    let half = body.slice(..body.len() / 2);
    let sent = stream::once(async move { Ok::<_, io::Error>(half) });
    let closed = stream::once(async {
        tokio::time::sleep(TRUNCATION_PAUSE).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let stream = SizedStream::new(body.len() as u64, Box::pin(sent.chain(closed)));
    HttpResponse::Ok().content_type("application/json").body(stream)
}

/// Fails before a byte has left, so that the connection closes without an answer.
fn truncated_at_once() -> HttpResponse {
    let failed =
        stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    HttpResponse::Ok().body(SizedStream::new(1, Box::pin(failed)))
}

/// Makes the close of this connection a reset: with no time to linger, the system sends RST for FIN.
fn reset_on_close(request: &HttpRequest) {
    let Some(Socket(socket)) = request.conn_data::<Socket>() else {
        return;
    };
    let Ok(socket) = socket.try_clone().and_then(TcpStream::from_std) else {
        return;
    };
    if let Err(error) = socket.set_zero_linger() {
        log::debug!("a simulated reset will be a plain close: {error}");
    }
}
