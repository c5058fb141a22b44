//! How the daemon is.

use askama::Template;

use super::facts::{Fact, FactValue};
use super::frame::Frame;
use super::text::capitalised;

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "health.html")]
pub(crate) struct HealthPage {
    pub(crate) frame: Frame,
    pub(crate) health: HealthDetails,
}

/// What of it changes.
#[derive(Debug, Template)]
#[template(path = "updates/system.html")]
pub(crate) struct HealthUpdate {
    pub(crate) frame: Frame,
    pub(crate) health: HealthDetails,
}

/// The daemon and its parts.
#[derive(Debug)]
pub(crate) struct HealthDetails {
    pub(crate) status: &'static str,
    pub(crate) version: &'static str,
    pub(crate) uptime: String,
    pub(crate) components: Vec<ComponentCard>,
}

/// A part of the daemon.
#[derive(Debug)]
pub(crate) struct ComponentCard {
    pub(crate) title: String,
    pub(crate) status: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) message: Option<String>,
    pub(crate) details: Vec<Fact>,
}

/// The icon that goes with a status.
pub(crate) fn icon_of(status: &str) -> &'static str {
    match status {
        "healthy" => "completed",
        "degraded" => "warning",
        _ => "error",
    }
}

impl HealthDetails {
    pub(crate) fn icon(&self) -> &'static str {
        icon_of(self.status)
    }

    pub(crate) fn status_title(&self) -> String {
        capitalised(self.status)
    }
}
