//! What every page has around its own content.

use crate::domain::event::Seq;

/// The views, in the order of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Jobs,
    Queue,
    Activity,
    Health,
    Settings,
}

impl View {
    const ALL: [Self; 5] = [Self::Jobs, Self::Queue, Self::Activity, Self::Health, Self::Settings];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Jobs => "Jobs",
            Self::Queue => "Queue",
            Self::Activity => "Activity",
            Self::Health => "Health",
            Self::Settings => "Settings",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Queue => "queue",
            Self::Activity => "activity",
            Self::Health => "health",
            Self::Settings => "settings",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Jobs => "/",
            Self::Queue => "/queue",
            Self::Activity => "/activity",
            // `/health` is the API's.
            Self::Health => "/system",
            Self::Settings => "/settings",
        }
    }
}

/// How much somebody should mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) level: Level,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// What a page needs besides its own content.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The address of the folder of assets.
    pub(crate) assets: String,
    /// Which view it is.
    pub(crate) view: View,
    /// The position in the log of events from which the page goes on, where it is known.
    pub(crate) position: Option<Seq>,
    /// What is wrong.
    pub(crate) notices: Vec<Notice>,
    /// Whether whoever reads it has logged in, and may log out.
    pub(crate) has_login: bool,
}

impl Frame {
    pub(crate) fn position(&self) -> String {
        self.position.map(|position| position.to_string()).unwrap_or_default()
    }

    pub(crate) fn views(&self) -> &'static [View] {
        &View::ALL
    }
}
