//! The dashboard: templates, what fills them, and the assets that a browser needs. It renders what it is
//! given and asks nobody; the handlers in `http/dashboard/` do.
//!
//! Everything that others wrote (names, errors, lines of logs, addresses) goes through the templates'
//! escaping, as text or as a quoted attribute. `|safe` stands only behind what this folder made itself.

pub(crate) mod activity_page;
pub(crate) mod assets;
pub(crate) mod facts;
pub(crate) mod frame;
pub(crate) mod health_page;
pub(crate) mod job_list;
pub(crate) mod job_page;
pub(crate) mod job_row;
pub(crate) mod login_page;
pub(crate) mod metrics;
pub(crate) mod problem_page;
pub(crate) mod queue_page;
pub(crate) mod settings_page;
pub(crate) mod sparkline;
pub(crate) mod text;
