//! What can be set while the daemon runs.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use super::{frame, html, or_problem, position};
use crate::actors::poller::{GetPollingStatus, GetWebhookUrl};
use crate::domain::budget::{Action, Period};
use crate::domain::cost::to_usd;
use crate::domain::words::span;
use crate::http::error::ApiError;
use crate::http::{Gateway, costs};
use crate::provider::replicate;
use crate::ui::frame::View;
use crate::ui::settings_page::{Settings, SettingsPage, WebhookChoice};
use crate::ui::text::usd;

/// `GET /settings`
pub(super) async fn page(gateway: Data<Gateway>) -> HttpResponse {
    let page = async {
        let position = position(&gateway).await?;
        let settings = settings(&gateway).await?;
        let frame = frame(&gateway, View::Settings, Some(position)).await;
        Ok(html(StatusCode::OK, &SettingsPage { frame, settings }))
    };
    or_problem(&gateway, View::Settings, page.await).await
}

async fn settings(gateway: &Gateway) -> Result<Settings, ApiError> {
    let mut providers = Vec::new();
    for door in gateway.providers.values().filter(|door| door.setup.capabilities.webhooks) {
        let question = GetWebhookUrl { provider: door.setup.name };
        let url = gateway.asker.ask(&gateway.poller, question).await?;
        providers.push(WebhookChoice {
            name: door.setup.name,
            title: door.setup.title,
            webhook_url: url.map(String::from).unwrap_or_default(),
        });
    }
    let polling = gateway.asker.ask(&gateway.poller, GetPollingStatus).await?;
    let state = if polling.is_active { "on" } else { "off" };
    let rhythm = match polling.is_active {
        true => format!(", every {}", span(polling.interval_seconds as f64)),
        false => String::new(),
    };
    let standing = costs::standing(gateway).await?;
    let budget = standing.budget;
    let spent = budget.in_words(standing.spending);
    Ok(Settings {
        providers,
        polling: match polling.preference {
            None => "null",
            Some(true) => "true",
            Some(false) => "false",
        },
        polling_state: format!(
            "It is {state}, {}{rhythm}. Jobs that nobody confirmed lately are looked at every {} in any case.",
            polling.reason.in_words(),
            span(polling.reconciliation_interval_seconds as f64),
        ),
        budget_provider: replicate::NAME,
        is_limited: budget.is_enabled(),
        limit_usd: budget.limit_micro_usd.map(to_usd),
        spending_state: spent.unwrap_or_else(|| match budget.limit() {
            Some(_) => {
                format!("{} of it are spent.", usd(to_usd(standing.spending.total_micro_usd()), false))
            }
            None => "There is no limit. One counts by the calendar (UTC), and is kept for all providers together.".to_owned(),
        }),
        periods: Period::ALL.map(|(word, period)| (word, period == budget.period)).to_vec(),
        actions: Action::ALL.map(|(word, action)| (word, action == budget.action)).to_vec(),
    })
}
