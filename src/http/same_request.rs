//! Requests that are another one in a different form: HEAD is GET without the body of its answer, and a
//! path with a slash at its end is the path without it. The routes know neither.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest};

/// In the extensions of a request that came as HEAD.
struct CameAsHead;

/// Whether a request that is handled as GET came as HEAD: then a stream need not be opened, because
/// nothing of it is sent.
pub(super) fn is_head(request: &HttpRequest) -> bool {
    request.extensions().contains::<CameAsHead>()
}

/// Brings a request into the form that the routes know, and leaves an answer to HEAD without a body.
pub(super) async fn unify(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, NoBody>>, actix_web::Error> {
    trim_slash(&mut request);
    let is_head = request.method() == Method::HEAD;
    if is_head {
        request.head_mut().method = Method::GET;
        // Some clients would unpack even what is not there.
        request.headers_mut().remove(ACCEPT_ENCODING);
        request.extensions_mut().insert(CameAsHead);
    }
    let mut answer = next.call(request).await?;
    if !is_head {
        return Ok(answer.map_into_left_body());
    }
    if let BodySize::Sized(size) = answer.response().body().size() {
        answer.headers_mut().insert(CONTENT_LENGTH, size.into());
    }
    answer.response_mut().head_mut().no_chunking(true);
    Ok(answer.map_body(|_, _| EitherBody::right(NoBody)))
}

/// Takes one slash from the end of the path.
fn trim_slash(request: &mut ServiceRequest) {
    let uri = request.uri();
    let trimmed = uri.path().strip_suffix('/');
    let Some(path) = trimmed.filter(|path| !path.is_empty() && !path.ends_with('/')) else {
        return;
    };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    // A part of what was a URI before is one, too.
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// A body of which nothing is sent. That of a stream was dropped for it, which ends the stream.
///
/// It says of itself that it is a stream, because what encodes the answer looks for HEAD at the newest request
/// of the connection, which may be another one: of a body with a size it would then miss the bytes.
pub(super) struct NoBody;

impl MessageBody for NoBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
