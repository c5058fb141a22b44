//! Setting the token of a provider's account. It is never shown again.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, Path, Payload};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gateway;
use super::error::ApiError;
use super::query::require_json;
use crate::provider::ProviderError;
use crate::provider::token::SharedToken;

/// The longest token that is taken, in characters.
const TOKEN_CHARS_MAX: usize = 500;

/// What a client sends.
#[derive(Deserialize)]
pub(super) struct NewToken {
    api_token: SecretToken,
}

/// A token as it is sent. Nothing of it is repeated in an error.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct SecretToken(SecretString);

impl TryFrom<Value> for SecretToken {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = value.as_str().unwrap_or_default().trim();
        let is_token = !text.is_empty()
            && text.len() <= TOKEN_CHARS_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(format!("a text of 1 to {TOKEN_CHARS_MAX} visible ASCII characters is needed"))
        }
    }
}

fn token_of(gateway: &Gateway, provider: &str) -> Result<SharedToken, ApiError> {
    let token = gateway.provider(provider)?.setup.token.clone();
    token.ok_or_else(|| ProviderError::Unsupported("this provider takes no token").into())
}

/// `PUT /api/cloud/providers/{provider}/token`
///
/// Holds from the next call on, and after a restart.
pub(super) async fn set(
    request: HttpRequest,
    payload: Payload,
    provider: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let token = token_of(&gateway, &provider)?;
    let NewToken { api_token: SecretToken(new) } = require_json(&request, payload).await?;
    let file = web::block(move || token.replace(new)).await.map_err(|_| ApiError::Busy)??;
    Ok(Json(json!({"success": true, "file_path": file, "error": null})))
}

/// `DELETE /api/cloud/providers/{provider}/token`
pub(super) async fn forget(
    provider: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let token = token_of(&gateway, &provider)?;
    let is_configured = web::block(move || token.forget()).await.map_err(|_| ApiError::Busy)??;
    let message = is_configured.then_some("the token of the configuration holds again");
    Ok(Json(json!({"success": true, "message": message, "error": null})))
}
