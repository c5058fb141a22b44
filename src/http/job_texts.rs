//! The whole of a text of which a job carries a part.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Path};

use super::Gateway;
use super::error::ApiError;
use crate::actors::job_reader::{GetText, Read};
use crate::domain::job::JobId;
use crate::domain::job_texts::JobText;

/// `GET /api/cloud/jobs/{id}/texts/{field}`
///
/// As plain text, whatever it is: what ran at the provider has written it.
pub(super) async fn get(
    path: Path<(String, String)>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let (id, field) = path.into_inner();
    let text = JobText::ALL.into_iter().find(|text| text.as_str() == field);
    let text = text.ok_or(ApiError::UnknownText { field })?;
    let job_id = JobId(id);
    let question = GetText { job_id: job_id.clone(), text };
    let whole = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let whole = whole.ok_or(ApiError::NoText { job_id, field: text.as_str() })?;
    Ok(HttpResponse::Ok().content_type(ContentType::plaintext()).body(whole))
}
