//! A page that says why there is nothing to show.

use askama::Template;

use super::frame::Frame;

/// The page.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(crate) struct ProblemPage {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) text: String,
}
