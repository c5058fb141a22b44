//! The identifier of a job in a path, short or whole: clients show people the first 8 or 12 characters.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::{Data, Path};
use actix_web::{FromRequest, HttpRequest};

use super::Gateway;
use super::error::ApiError;
use crate::actors::job_reader::{Read, ResolveJobId};
use crate::domain::job::JobId;

/// The job that a path names by its identifier or by a beginning of it of six characters or more. Where several begin
/// so the request ends with 409 and the candidates; where none does this is what was given, and whoever looks for
/// it says that there is none.
#[derive(Debug)]
pub(super) struct JobPath(pub(super) JobId);

impl JobPath {
    /// The identifier.
    pub(super) fn into_inner(self) -> String {
        self.0.0
    }
}

impl FromRequest for JobPath {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let given = Path::<String>::from_request(request, payload);
        let gateway = request.app_data::<Data<Gateway>>().cloned();
        Box::pin(async move {
            let given = given.await.map_err(|_| ApiError::NoRoute)?.into_inner();
            let gateway = gateway.ok_or(ApiError::Busy)?;
            let question = Read(ResolveJobId(given));
            Ok(Self(gateway.asker.ask(&gateway.reader, question).await?))
        })
    }
}
