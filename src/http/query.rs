//! Reading of query strings and bodies, with errors that name the field and what is allowed.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ApiError, quoted};
use crate::domain::content_coding::{ContentCoding, UnknownCoding, gunzip};

/// The largest body of a request that is not a webhook.
const JSON_BYTES_MAX: usize = 1024 * 1024;

/// The parameters of a query string. An empty value counts as not given.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn of(request: &'a HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    pub(super) fn parse(query: &'a str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The text of a parameter; the last one where it is given several times.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(key, _)| key == field)?;
        Some(value.as_ref()).filter(|value| !value.is_empty())
    }

    /// Every value of a parameter that may be given several times.
    pub(super) fn all(&self, field: &str) -> impl Iterator<Item = &str> {
        let given = self.0.iter().filter(move |(key, _)| key == field);
        given.map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }

    /// A whole number within bounds.
    pub(super) fn integer(
        &self,
        field: &'static str,
        bounds: RangeInclusive<u32>,
        default: u32,
    ) -> Result<u32, ApiError> {
        let Some(text) = self.text(field) else { return Ok(default) };
        // Digits only: `parse` would also take a sign.
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        number.filter(|number| bounds.contains(number)).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            ApiError::BadValue {
                field: field.to_owned(),
                problem: format!("{} is not a whole number from {least} to {most}", quoted(text)),
            }
        })
    }

    /// A truth value, in any of the words that clients use.
    pub(super) fn flag(&self, field: &'static str) -> Result<bool, ApiError> {
        match self.text(field).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no" | "off") => Ok(false),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some(word) => Err(ApiError::BadValue {
                field: field.to_owned(),
                problem: format!("{} is neither true nor false", quoted(word)),
            }),
        }
    }
}

/// The whole body, unpacked where it came packed, unless it is larger than `limit_bytes`.
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    limit_bytes: usize,
) -> Result<Bytes, ApiError> {
    let coding = coding_of(request)?;
    let body = read_received(request, payload, limit_bytes).await?;
    Ok(match coding {
        ContentCoding::Identity => body,
        ContentCoding::Gzip => gunzip(&body, limit_bytes)?.into(),
    })
}

/// How the body is packed.
pub(super) fn coding_of(request: &HttpRequest) -> Result<ContentCoding, ApiError> {
    let values = request.headers().get_all(CONTENT_ENCODING);
    // What is no text is no coding that is known.
    let values = values.map(|value| value.to_str().unwrap_or("\u{fffd}"));
    ContentCoding::of(values).map_err(|UnknownCoding(coding)| ApiError::UnknownCoding(coding))
}

/// The whole body as it came, unless it is larger than `limit_bytes`.
pub(super) async fn read_received(
    request: &HttpRequest,
    mut payload: Payload,
    limit_bytes: usize,
) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(ApiError::BodyTooLarge { limit_bytes });
    }
    // An announced length is only a promise: memory is taken as the body comes.
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(64 * 1024));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::BodyCut)?;
        if body.len() + chunk.len() > limit_bytes {
            return Err(ApiError::BodyTooLarge { limit_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A JSON body of any shape; None where there is none.
pub(super) async fn read_json_value(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Option<Value>, ApiError> {
    let body = read_body(request, payload, JSON_BYTES_MAX).await?;
    if body.is_empty() {
        return Ok(None);
    }
    let is_json =
        |kind: mime::Mime| kind.subtype() == mime::JSON || kind.suffix() == Some(mime::JSON);
    let is_typed = request.headers().contains_key(CONTENT_TYPE);
    if is_typed && !request.mime_type().ok().flatten().is_some_and(is_json) {
        return Err(ApiError::NotJsonType);
    }
    let value = serde_json::from_slice(&body);
    value.map(Some).map_err(|error| ApiError::NotJson(without_position(&error.to_string())))
}

/// A JSON body; None where there is none.
pub(super) async fn read_json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Option<T>, ApiError> {
    let Some(value) = read_json_value(request, payload).await? else { return Ok(None) };
    let bad = |field: String, problem: String| ApiError::BadValue { field, problem };
    // serde would take the fields from a list just as well, in the order of the struct.
    if !value.is_object() {
        return Err(bad("body".to_owned(), "an object is needed".to_owned()));
    }
    serde_path_to_error::deserialize(value).map(Some).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "body".to_owned() } else { path };
        bad(field, error.into_inner().to_string())
    })
}

/// Who sent a body from a program has no use for lines and columns.
fn without_position(text: &str) -> String {
    text.split_once(" at line ").map_or(text, |(said, _)| said).to_owned()
}

/// A JSON body that must be there.
pub(super) async fn require_json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, ApiError> {
    read_json(request, payload).await?.ok_or_else(|| ApiError::BadValue {
        field: "body".to_owned(),
        problem: "it is missing".to_owned(),
    })
}
