//! Style, scripts and vendored libraries.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Path};

use crate::http::Gateway;
use crate::http::error::ApiError;
use crate::ui::assets::{Assets, ROOT};

/// `GET /assets/{digest}/{path}`
///
/// With the digest of this daemon's assets a browser may keep it for ever. Another daemon's pages may ask for
/// others, and get these.
pub(super) async fn get(
    path: Path<(String, String)>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let (digest, path) = path.into_inner();
    let (content, media_type) = Assets::get(&path).ok_or(ApiError::NoRoute)?;
    let is_current = gateway.assets.folder() == format!("{ROOT}/{digest}");
    let caching = if is_current { "public, max-age=31536000, immutable" } else { "no-store" };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, caching))
        .body(content.into_owned()))
}
