//! Whether the daemon polls, and why (`design.md`, "Webhooks and polling together").

use serde::Serialize;

/// What decides on polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PollingInputs {
    /// What the configuration says.
    pub configured: Option<bool>,
    /// What a user has set through the API, which is kept across restarts.
    pub preference: Option<bool>,
    /// Whether every provider has a webhook URL.
    pub has_webhook: bool,
    /// Whether webhooks should have come and did not.
    pub are_webhooks_silent: bool,
}

/// Why polling is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PollingReason {
    /// The configuration says so.
    Configuration,
    /// A user has set it.
    Setting,
    /// A webhook URL is configured, so the provider tells by itself.
    WebhookConfigured,
    /// A webhook URL is configured, and webhooks do not come.
    WebhooksSilent,
    /// No webhook URL is configured, so the provider must be asked.
    NoWebhook,
}

impl PollingReason {
    /// The reason in words, for the log.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Configuration => "by configuration",
            Self::Setting => "as set by a user",
            Self::WebhookConfigured => "a webhook is configured",
            Self::WebhooksSilent => "a webhook is configured, and none comes",
            Self::NoWebhook => "no webhook is configured",
        }
    }
}

/// Whether to poll, and why: the first of configuration, setting and webhook that has a say.
pub fn decide(inputs: PollingInputs) -> (bool, PollingReason) {
    match (inputs.configured, inputs.preference, inputs.has_webhook) {
        (Some(enabled), _, _) => (enabled, PollingReason::Configuration),
        (None, Some(enabled), _) => (enabled, PollingReason::Setting),
        (None, None, true) if inputs.are_webhooks_silent => (true, PollingReason::WebhooksSilent),
        (None, None, true) => (false, PollingReason::WebhookConfigured),
        (None, None, false) => (true, PollingReason::NoWebhook),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_webhook_polling_is_on_and_with_one_off() {
        let inputs = PollingInputs::default();
        assert_eq!(decide(inputs), (true, PollingReason::NoWebhook));
        let inputs = PollingInputs { has_webhook: true, ..inputs };
        assert_eq!(decide(inputs), (false, PollingReason::WebhookConfigured));
        let inputs = PollingInputs { are_webhooks_silent: true, ..inputs };
        assert_eq!(decide(inputs), (true, PollingReason::WebhooksSilent));
    }

    #[test]
    fn a_users_setting_beats_the_webhook_and_configuration_beats_both() {
        for has_webhook in [false, true] {
            for preference in [false, true] {
                let inputs = PollingInputs {
                    preference: Some(preference),
                    has_webhook,
                    ..PollingInputs::default()
                };
                assert_eq!(decide(inputs), (preference, PollingReason::Setting));
                let inputs = PollingInputs { configured: Some(!preference), ..inputs };
                assert_eq!(decide(inputs), (!preference, PollingReason::Configuration));
            }
        }
    }
}
