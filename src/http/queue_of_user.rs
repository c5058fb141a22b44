//! The queue as one user sees it, as SimpleTuner's clients ask for it.

use actix_web::web::{Data, Json, Path};
use serde_json::{Value, json};

use super::Gateway;
use super::error::ApiError;
use super::queue::{Queue, snapshot};
use crate::domain::queue::QueueStatus;

/// `GET /api/queue/me`
///
/// The daemon knows no users but by what submitters say, so that whoever asks is told of all.
pub(super) async fn of_all(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    of(&gateway, None).await
}

/// `GET /api/queue/user/{user}`
pub(super) async fn of_one(
    user: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    of(&gateway, Some(&user)).await
}

async fn of(gateway: &Gateway, user: Option<&str>) -> Result<Json<Value>, ApiError> {
    let snapshot = snapshot(gateway).await?;
    let queue = Queue::new(&snapshot);
    let is_theirs = |entry_user: Option<&str>| user.is_none_or(|user| entry_user == Some(user));
    let (mut pending, mut running, mut best_position) = (Vec::new(), Vec::new(), None);
    for entry in queue.in_order() {
        if !is_theirs(entry.user_id.as_deref()) {
            continue;
        }
        let view = queue.view(entry);
        if entry.status == QueueStatus::Pending {
            best_position = best_position.or(Some(view.position));
            pending.push(view);
        } else {
            running.push(view);
        }
    }
    Ok(Json(json!({
        "user_id": user,
        "pending_count": pending.len(),
        "running_count": running.len(),
        "blocked_count": 0,
        "best_position": best_position,
        "pending_jobs": pending,
        "running_jobs": running,
    })))
}
