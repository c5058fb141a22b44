//! The provider's errors: `application/problem+json` with `title`, `detail` and `status`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::json;

/// An error answer of the API.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("You did not pass a valid authentication token")]
    Unauthenticated,
    #[error("The requested resource could not be found.")]
    NotFound,
    #[error("{}", listed(.0))]
    Invalid(Vec<InvalidField>),
    #[error("Request was throttled. Your rate limit resets in ~{reset_seconds}s.")]
    Throttled { reset_seconds: i64 },
    #[error("An internal error occurred.")]
    Internal,
}

/// One reason for a 422.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct InvalidField {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) field: &'static str,
    pub(super) description: String,
}

fn listed(fields: &[InvalidField]) -> String {
    let lines = fields.iter().map(|invalid| match invalid.field {
        "" => format!("- {}\n", invalid.description),
        field => format!("- {field}: {}\n", invalid.description),
    });
    lines.collect()
}

impl Problem {
    fn title(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "Unauthenticated",
            Self::NotFound => "Not found",
            Self::Invalid(_) => "Input validation failed",
            Self::Throttled { .. } => "Too many requests",
            Self::Internal => "Internal server error",
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut body = json!({
            "title": self.title(),
            "detail": self.to_string(),
            "status": status.as_u16(),
        });
        match self {
            Self::Invalid(fields) => body["invalid_fields"] = json!(fields),
            Self::Throttled { reset_seconds } => body["retry_after"] = json!(reset_seconds),
            Self::Unauthenticated | Self::NotFound | Self::Internal => {}
        }
        HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
    }
}
