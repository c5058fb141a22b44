//! What is wrong, as every page says it above its content.

use crate::actors::provider_client::GetProviderHealth;
use crate::http::Gateway;
use crate::provider::CallerHealth;
use crate::ui::frame::{Level, Notice};

/// Everything that is wrong with the database and the providers.
pub(super) async fn all(gateway: &Gateway) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(obstacle) = gateway.obstacle.current() {
        notices.push(Notice {
            level: Level::Error,
            title: "Nothing can be stored.".to_owned(),
            text: format!(
                "The database cannot be written: {obstacle}. What you see is what was known before; \
                 webhooks are refused, and their senders try again."
            ),
        });
    }
    for door in gateway.providers.values() {
        // One that does not answer is stopping, and so is everything else.
        let Ok(health) = gateway.asker.ask(&door.client, GetProviderHealth).await else { continue };
        let is_known = |notice: &Notice| notices.contains(notice);
        notices.extend(of_provider(door.setup.title, health).filter(|notice| !is_known(notice)));
    }
    notices
}

fn of_provider(title: &str, health: CallerHealth) -> Option<Notice> {
    let notice = |level, title: String, text: String| Some(Notice { level, title, text });
    if !health.has_token {
        notice(Level::Info, format!("No API token for {title}."), no_token())
    } else if let Some(words) = health.token_refused {
        let title = format!("{title} refuses the API token.");
        let text = format!(
            "It says: {words}. Set REPLICATE_API_TOKEN to a token that holds, and restart the daemon."
        );
        notice(Level::Error, title, text)
    } else if health.out_of_order {
        let title = format!("{title} does not answer.");
        let words = health.last_error.unwrap_or_default();
        let text =
            format!("{words}. What you see is what was known before; it is asked again by itself.");
        notice(Level::Warning, title, text)
    } else {
        None
    }
}

/// What to do where there is no token.
pub(super) fn no_token() -> String {
    "Set REPLICATE_API_TOKEN in the daemon's environment and restart it.".to_owned()
}
