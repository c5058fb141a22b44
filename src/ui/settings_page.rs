//! What can be set while the daemon runs.

use askama::Template;

use super::frame::Frame;

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "settings.html")]
pub(crate) struct SettingsPage {
    pub(crate) frame: Frame,
    pub(crate) settings: Settings,
}

/// The settings as they are.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) providers: Vec<WebhookChoice>,
    /// What was chosen for polling, as JSON: `true`, `false` or `null`.
    pub(crate) polling: &'static str,
    pub(crate) polling_state: String,
    /// A provider by whose configuration the limit is set; it holds for all.
    pub(crate) budget_provider: &'static str,
    /// Whether spending is to be limited.
    pub(crate) is_limited: bool,
    /// The limit, also while it is switched off.
    pub(crate) limit_usd: Option<f64>,
    pub(crate) spending_state: String,
    /// Each period, and whether it is the one in force.
    pub(crate) periods: Vec<(&'static str, bool)>,
    /// Each action, and whether it is the one in force.
    pub(crate) actions: Vec<(&'static str, bool)>,
}

/// A provider and where it reaches our webhook.
#[derive(Debug)]
pub(crate) struct WebhookChoice {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) webhook_url: String,
}

impl Settings {
    pub(crate) fn polling_choices(&self) -> [(&'static str, &'static str); 3] {
        [("null", "Automatic: on as long as there is no webhook"), ("true", "On"), ("false", "Off")]
    }

    pub(crate) fn limit_text(&self) -> String {
        self.limit_usd.map(|usd| format!("{usd:.2}")).unwrap_or_default()
    }
}
