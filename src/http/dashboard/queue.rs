//! The queue.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use super::{frame, html, or_problem, position};
use crate::domain::queue::{Limits, QueueStatus};
use crate::domain::queue_view::median;
use crate::domain::timestamp::now;
use crate::domain::words::{grouped, span};
use crate::http::Gateway;
use crate::http::error::ApiError;
use crate::http::queue::{Queue, snapshot};
use crate::ui::frame::View;
use crate::ui::queue_page::{QueueDetails, QueuePage, QueueRow, QueueUpdate};
use crate::ui::text::NONE;

/// How many entries a page shows. Who has more waiting looks at the API.
const ENTRIES_MAX: usize = 200;

/// `GET /queue`
pub(super) async fn page(gateway: Data<Gateway>) -> HttpResponse {
    let page = async {
        let position = position(&gateway).await?;
        let queue = details(&gateway).await?;
        let frame = frame(&gateway, View::Queue, Some(position)).await;
        Ok(html(StatusCode::OK, &QueuePage { frame, queue }))
    };
    or_problem(&gateway, View::Queue, page.await).await
}

/// `GET /updates/queue`
pub(super) async fn update(gateway: Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let queue = details(&gateway).await?;
    let frame = frame(&gateway, View::Queue, None).await;
    Ok(html(StatusCode::OK, &QueueUpdate { frame, queue }))
}

async fn details(gateway: &Gateway) -> Result<QueueDetails, ApiError> {
    let snapshot = snapshot(gateway).await?;
    let queue = Queue::new(&snapshot);
    let now = now();
    let in_order = queue.in_order();
    let entries = in_order.iter().take(ENTRIES_MAX);
    let hidden = in_order.len().saturating_sub(ENTRIES_MAX);
    let seconds = |waits: &[f64]| median(waits).map_or_else(|| NONE.to_owned(), span);
    let Limits { max_concurrent, user_max_concurrent, is_paused } = snapshot.limits;
    Ok(QueueDetails {
        entries: entries.map(|entry| QueueRow::new(&queue.view(entry), now)).collect(),
        numbers: vec![
            ("Waiting", grouped(snapshot.count(QueueStatus::Pending) as u64)),
            ("Under way", format!("{} of {max_concurrent}", snapshot.under_way())),
            ("Usual wait", seconds(&snapshot.past_waits_seconds)),
            ("Usual run", seconds(&snapshot.past_runs_seconds)),
        ],
        is_paused,
        is_enabled: gateway.config.queue_processing.enabled,
        max_concurrent,
        user_max_concurrent,
        priorities: QueueDetails::priorities(),
        more: (hidden > 0).then(|| format!("and {} more", grouped(hidden as u64))),
    })
}
